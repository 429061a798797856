# SPDX-License-Identifier: Apache-2.0
# What ./dev example website runs: see examples/run.sh. Two servers, so that a slow page does
# not delay other readers; the front; curl as the browser.
mkdir "$scratch/site"
printf 'The quick brown fox.\n' >"$scratch/site/fox.txt"
ln -s /etc/passwd "$scratch/site/out"
export WEBSITE_FOLDER=$scratch/site
start "$build/examples/website-server"
start "$build/examples/website-server"
until_true is_served 'website.Website[[:space:]]*2'
start "$build/examples/website-front" 0
until_true is_in_log 'Serving HTTP'
port=$(sed -n 's/.*Serving HTTP on .* port \([0-9]*\).*/\1/p' "$scratch/log")
client website-client /hello
client curl -s "http://127.0.0.1:$port/hello" && echo
client curl -s "http://127.0.0.1:$port/environ?name=value"
client curl -s "http://127.0.0.1:$port/files/"
client curl -s "http://127.0.0.1:$port/files/fox.txt"
client curl -s --path-as-is "http://127.0.0.1:$port/files/../../../etc/passwd"
client curl -s "http://127.0.0.1:$port/files/out"
client curl -s -o /dev/null -o /dev/null -w '%{http_code}, new connections: %{num_connects}\n' \
    "http://127.0.0.1:$port/hello" "http://127.0.0.1:$port/"
client curl -sN "http://127.0.0.1:$port/slow?pieces=3&pause=200"
echo "website-front said:"
grep '"GET' "$scratch/log" | sed 's/^/    /'
