# SPDX-License-Identifier: Apache-2.0
# What ./dev example squares runs: see examples/run.sh.
calls=1000
[ -z "$quick" ] || calls=50
if ! command -v redis-server >/dev/null; then
    echo "No redis-server here (the Debian package redis-server): the cache is in the server's memory."
    serve squares
    client squares-client "$calls"
    return
fi

# Three Redis on free ports of the loopback interface.
redis=()
hosts=
for _ in 1 2 3; do
    port=$(free_port)
    start redis-server --bind 127.0.0.1 --port "$port" --save "" --dir "$scratch"
    redis+=("$started")
    hosts+=${hosts:+,}127.0.0.1:$port
    until_true redis-cli -p "$port" ping
done
export SQUARES_CACHE=redis://$hosts
serve squares
client squares-client "$calls"

echo "One Redis is stopped"
kill "${redis[0]}" && wait "${redis[0]}" || true
client squares-client "$calls"
