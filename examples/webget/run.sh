# SPDX-License-Identifier: Apache-2.0
# What ./dev example webget runs: see examples/run.sh. webd.py serves http and https on loopback.
"$here/tls/certificates.sh" "$scratch"
start python3 "$here/webget/webd.py"
until_true is_in_log 'web on port'
plain=$(sed -n 's/.*web on port //p' "$scratch/log")
: >"$scratch/log"
start python3 "$here/webget/webd.py" "$scratch/good.pem"
until_true is_in_log 'web on port'
secure=$(sed -n 's/.*web on port //p' "$scratch/log")
export WEBGET_ALLOW=localhost:$plain,localhost:$secure WEBGET_AUTHORITY=$scratch/ca.pem
serve webget
client webget-client "http://localhost:$plain/echo" 'q=Python & 你好' page=1
for framing in length chunked close; do
    client webget-client "https://localhost:$secure/$framing"
done
client webget-client "http://localhost:$plain/short" || echo "(exit status $?)"
client webget-client "http://192.0.2.1/" || echo "(exit status $?)"
