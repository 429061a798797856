# SPDX-License-Identifier: Apache-2.0
# What ./dev example sockets runs: see examples/run.sh. A web server is there to be listed.
start python3 -u -m http.server --bind 127.0.0.1 --directory "$scratch" 0
until_true is_in_log 'Serving HTTP on .* port'
port=$(sed -n 's/.*Serving HTTP on .* port \([0-9]*\).*/\1/p' "$scratch/log")
serve sockets
client sockets-client
client sockets-client list "$port"
