#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The errors of a broker with shards in Redis, and the URL that it advertises. Skipped without Redis.
source "$(dirname "$0")/lib.sh" "$1"
command -v redis-server >/dev/null || exit 77

# Usage
expect 2 '' "'shards=' must be a number from 2 to 62" ferry broker --store 'redis://h?shards=1'
expect 2 '' "'shards=' must be a number from 2 to 62" ferry broker --store 'redis://h?shards=63'
expect 2 '' 'advertise ipc:///x: it is not tcp' ferry broker --advertise ipc:///x
printf '[broker]\nadvertise = tcp://h\n' >"$work/conf"
expect 2 '' 'advertise = tcp://h: ' ferry broker --config "$work/conf" --check-config
printf '[broker]\nstore = redis://h?shards=8\nadvertise = tcp://h:1\n' >"$work/conf"
expect 0 '*' '' ferry broker --config "$work/conf" --check-config

redis-server --port 0 --unixsocket "$work/redis" --dir "$work" --save '' >/dev/null &
started+=($!)
ask() { redis-cli -s "$work/redis" "$@"; }
until_true ask ping
store="redis+unix://$work/redis?lease=2s"

# The URL that other brokers tell clients
broker() { # NAME OPTION...: its process is in $started_pid
    local name=$1
    shift
    start broker --bind "ipc://$work/$name" "$@" 2>"$work/log-$name"
    until_true grep -q 'ready$' "$work/log-$name"
}
members() { ask hvals 'ferry:{shop}:members'; }
broker a --store "$store&name=shop&shards=4"
is_alone() { members | grep -q "ipc://$work/a b[0-9]* 0 1 2 3\$"; }
until_true is_alone
broker b --advertise tcp://b.example:5877 --store "$store&name=shop&shards=4"
is_shared() { [ "$(members | grep -c " [0-3] [0-3]\$")" = 2 ]; }
until_true is_shared
members | grep -q ' tcp://b.example:5877 ' || failed 'the advertised URL' <(members)

# ferry shards: the broker that has a shard knows its jobs; the others know where it is
rows() { ferry shards --url "$1" --json >"$work/rows"; }
of_one() { rows "ipc://$work/a" && jq -e '[([.[] | select(.state == "here")] | length),
    ([.[] | select(.state == "elsewhere" and .owner == "tcp://b.example:5877")] | length)] == [2, 2]' "$work/rows" >/dev/null; }
until_true of_one
anywhere() { ferry push "$1" x --url "ipc://$work/a" || ferry push "$1" x --url "ipc://$work/b"; }
for i in 1 2 3 4 5 6 7 8; do until_true anywhere "queue-$i" >/dev/null 2>&1; done
of_all() { rows "ipc://$work/a,ipc://$work/b" && jq -e --arg b "ipc://$work/b" '[.[].shard] == [0, 1, 2, 3]
    and all(.[]; .state == "here") and ([.[].jobs] | add) >= 8 and ([.[] | select(.owner == $b)] | length) == 2' "$work/rows" >/dev/null; }
until_true of_all

# Retained values: the broker that has the shard shows each
both="ipc://$work/a,ipc://$work/b"
for i in 1 2 3 4; do
    expect 0 '' '' ferry pub "v.$i" old --retain --url "ipc://$work/a"
    expect 0 '' '' ferry pub "v.$i" "new $i" --retain --url "ipc://$work/b"
done
expect 0 '' '' ferry pub v.4 '' --retain --url "ipc://$work/a"
of_topics() { [ "$(ferry topics --url "$both" --json | jq -c '[.[] | select(.retained) | .name] | sort')" = '["v.1","v.2","v.3"]' ]; }
until_true of_topics
ferry sub 'v.>' --count 3 --url "$both" | sort >"$work/values"
equal "$(printf 'new %d\n' 1 2 3)" "$(cat "$work/values")" 'the newest values'

# Jobs move to a queue at another broker
queue_at() { ferry queue list --url "$both" --json | jq -r --arg b "ipc://$work/$1" 'map(select(.broker == $b))[0].name'; }
from=$(queue_at a) to=$(queue_at b)
ready() { ferry queue show "$1" --url "$both" --json | jq .ready; }
has_ready() { [ "$(ready "$1")" = "$2" ]; }
n=$(ready "$to")
job=$(ferry push "$from" moved --url "$both")
expect 0 '' "is on its way to '$to', which is at another broker" ferry job move "$job" "$to" --url "$both"
until_true has_ready "$to" $((n + 1))
expect 6 '' "there is no job $job" ferry job show "$job" --url "$both"
ferry queue peek "$to" --url "$both" | grep -q moved || failed 'the body of a moved job'
more=$(ready "$from")
expect 0 "$more" 'moved' ferry queue move "$from" "$to" --url "$both"
until_true has_ready "$to" $((n + 1 + more))
equal 0 "$(ready "$from")" 'all jobs have moved'

# Redis does not answer: after the lease no broker has the shards of a, and it says why
kill -STOP "${started[0]}"
have_none() { ferry shards --url "$both" --json | jq -e '[.[] | select(.state == "none" and .owner == ""
    and (.degraded | test("Redis at ")))] | length == 2' >/dev/null; }
until_true have_none
kill -CONT "${started[0]}"
are_back() { ferry shards --url "$both" --json | jq -e 'all(.[]; .state == "here" and .degraded == null)' >/dev/null; }
until_true are_back

# Entries that no ferry has written are no members
ask hset 'ferry:{shop}:members' nonsense text "$(printf %032d 1)" '99999999999999 tcp://x 4' \
    "$(printf %032d 2)" $'99999999999999 tcp://x\ny 0' >/dev/null
is_undisturbed() { [ "$(members | grep -c " [0-3] [0-3]\$")" = 2 ] && ! members | grep -q text; }
until_true is_undisturbed
for i in $(seq 64); do ask hset 'ferry:{full}:members' "$(printf %032d "$i")" '99999999999999 tcp://x' >/dev/null; done
expect 2 '' 'has 64 brokers already' ferry broker --store "$store&name=full&shards=4"

# The number of shards is fixed, and a space is either one or divided
expect 2 '' 'has shards=4, and the URL says shards=5' ferry broker --store "$store&name=shop&shards=5"
expect 2 '' 'the URL of the store needs shards=' ferry broker --store "$store&name=shop"
start broker --bind "ipc://$work/c" --store "$store&name=whole" 2>"$work/log-c"
until_true ferry ping --url "ipc://$work/c"
expect 2 '' 'one space without shards' ferry broker --store "$store&name=whole&shards=4"

# Ids and formats
id=$(ask hget 'ferry:{shop}:cluster' id)
expect 2 '' "has the id $id, and not 00000000000000000000000000000000" \
    ferry broker --store "$store&name=shop&shards=4&id=00000000000000000000000000000000"
expect 2 '' 'it was emptied, or is another Redis' \
    ferry broker --store "$store&name=other&shards=4&id=$id"
ask hset 'ferry:{new}:cluster' format 2 shards 4 id "$id" >/dev/null
expect 2 '' 'has format 2, and this ferry reads format 1' ferry broker --store "$store&name=new&shards=4"

# A shard of other data, and a lost shard: an error in the log, and the other shards work
broker d --store "$store&name=lost&shards=2"
is_whole() { ask hget 'ferry:{lost}:cluster' made | grep -q '0' && ask hget 'ferry:{lost}:cluster' made | grep -q 1; }
until_true is_whole
kill "$started_pid"
status_of "$started_pid"
ask del 'ferry:{lost.0}' >/dev/null
ask hset 'ferry:{lost.1}' id 00000000000000000000000000000000 >/dev/null
broker e --store "$store&name=lost&shards=2"
until_true grep -q 'there is no ferry:{lost.0} in Redis, and it was there before' "$work/log-e"
until_true grep -q 'ferry:{lost.1} in Redis belongs to other data' "$work/log-e"
equal 0 "$(ask exists 'ferry:{lost.0}')" 'nothing was written'

done_testing
