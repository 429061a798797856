# SPDX-License-Identifier: Apache-2.0
# What ./dev example zen runs: see examples/run.sh.
each=1
[ -z "$quick" ] || each=0.1
serve zen
client zen-client
kill "$started" && wait "$started"
echo "calls per second, 64 callers at a time"
echo "the answer takes     no time  5 ms wait  200 µs CPU"
for model in single threads processes async; do
    start "$build/examples/zen-server" --model "$model"
    until_true is_served zen.
    [ "$model" != processes ] && [ "$model" != threads ] ||
        until_true is_served 'zen.Zen[[:space:]]*8'
    printf '%-16s' "$model"
    "$build/examples/zen-client" --rate "$each"
    kill "$started" && wait "$started"
done
