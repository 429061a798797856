#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Schedules of brokers that share queues in Redis: each name exists once, at any broker. Skipped without Redis.
source "$(dirname "$0")/lib.sh" "$1"
command -v redis-server >/dev/null || exit 77

redis-server --port 0 --unixsocket "$work/redis" --dir "$work" --save '' >/dev/null &
started+=($!)
until_true redis-cli -s "$work/redis" ping
broker() { # NAME: its process is in $started_pid
    start broker --bind "ipc://$work/$1" --store "redis+unix://$work/redis?shards=4" 2>>"$work/log-$1"
    until_true grep -q 'ready$' "$work/log-$1"
}
at() { echo "ipc://$work/$1"; }
both="$(at a),$(at b)"
broker a
broker b
b=$started_pid
has() { [ "$(ferry shards --url "$(at "$1")" --json | jq '[.[] | select(.state == "here")] | length')" = "$2" ]; }
until_true has a 2
until_true has b 2
queue_at() { # NAME: a queue that this broker has
    for i in $(seq 20); do
        ferry push "q$i" x --url "$(at "$1")" >/dev/null 2>&1 || continue
        ferry queue purge "q$i" --yes --url "$(at "$1")" >/dev/null 2>&1
        echo "q$i"
        return
    done
}
qa=$(queue_at a)
qb=$(queue_at b)

# One name, at two brokers
expect 0 '' "'tick' pushes jobs" ferry schedule add tick "$qa" --every 1h --url "$(at a)"
expect 8 '' "the schedule 'tick' exists for the queue '$qa' in another shard" \
    ferry schedule add tick "$qb" --every 1h --url "$(at b)"
ferry schedule list --json --url "$both" >"$work/rows"
jq -e --arg a "$(at a)" 'length == 1 and .[0].name == "tick" and .[0].broker == $a' "$work/rows" >/dev/null ||
    failed 'one row' "$work/rows"
expect 0 '' '' ferry schedule add tick "$qa" --every 2h --url "$(at b),$(at a)?prefer=order" # replaced
ferry schedule list --json --url "$both" | jq -e '[.[].every_ms] == [7200000]' >/dev/null || failed 'replaced' "$work/rows"
expect 0 '' "'tick' was removed" ferry schedule remove tick --url "$(at b),$(at a)?prefer=order"
expect 0 '' "'tick' pushes jobs" ferry schedule add tick "$qb" --every 1s --missed all --url "$(at b)"
equal 1 "$(ferry schedule list --json --url "$both" | jq length)" 'a schedule of another queue'

# Each moment has one job, also when the shard moves
jobs() { ferry queue show "$qb" --json --url "$both" | jq .ready; }
has_jobs() { [ "$(jobs)" -ge "$1" ]; }
until_true has_jobs 2
kill "$b"
status_of "$b"
until_true has a 4
has_more() { [ "$(ferry queue show "$qb" --json --url "$(at a)" | jq .ready)" -ge "$1" ]; }
n=$(ferry queue show "$qb" --json --url "$(at a)" | jq .ready)
until_true has_more "$((n + 3))"
ferry schedule list --json --url "$(at a)" | jq -e 'length == 1' >/dev/null || failed 'the schedule has moved'
expect 0 '' '' ferry schedule remove tick --url "$(at a)"
ferry queue peek "$qb" --limit 1000 --json --url "$(at a)" >"$work/jobs"
grep -o '"ferry-moment": *"[^"]*"' "$work/jobs" | sort >"$work/moments"
[ "$(wc -l <"$work/moments")" -ge "$((n + 3))" ] || failed 'a job for each moment' "$work/jobs"
equal '' "$(uniq -d "$work/moments")" 'two jobs of one moment'

done_testing
