# SPDX-License-Identifier: Apache-2.0
# What ./dev example probe runs: see examples/run.sh. A web server is listening.
start python3 -u -m http.server --bind 127.0.0.1 --directory "$scratch" 0
until_true is_in_log 'Serving HTTP on .* port'
port=$(sed -n 's/.*Serving HTTP on .* port \([0-9]*\).*/\1/p' "$scratch/log")
export PROBE_ALLOW="localhost, not-exists-website.invalid"
serve probe
client probe-client localhost "$port"
client probe-client localhost 1 || echo "(exit status $?)"
client probe-client not-exists-website.invalid || echo "(exit status $?)"
client probe-client 127.0.0.1 "$port" || echo "(exit status $?)"
