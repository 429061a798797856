# SPDX-License-Identifier: Apache-2.0
# What ./dev example capture runs: see examples/run.sh.
serve capture
file=$scratch/result.pcapng
echo '$ ferry tap --service capture.Capture --topic capture.log --save result.pcapng &'
start "$build/ferry" tap --service capture.Capture --topic capture.log --topic ready --save "$file"
tap=$started
is_watching() { "$build/ferry" pub ready x && [ "$(wc -c <"$file")" -gt 100 ]; }
until_true is_watching
client capture-client
is_complete() { grep -qa 'GET /nowhere 404' "$file"; }
until_true is_complete
kill "$tap"
wait "$tap" 2>/dev/null || true
echo '$ ferry tap --read result.pcapng'
"$build/ferry" tap --read "$file" | grep -v ' ready,'
echo '$ ferry tap --read result.pcapng --json | grep -o "GET [^\"]*"   # the access log'
"$build/ferry" tap --read "$file" --json | grep -o 'GET [^"]*'
if command -v tshark >/dev/null; then
    echo "$ tshark -r result.pcapng -Y 'frame contains \"capture\"'"
    tshark -r "$file" -Y 'frame contains "capture"' 2>/dev/null
else
    echo "(no tshark: install it to open the file with it)"
fi
