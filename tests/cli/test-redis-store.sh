#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Queues in Redis, end to end: two brokers with one space, of which the first is killed, stopped and
# drained. Skipped where there is no Redis.
source "$(dirname "$0")/lib.sh" "$1"
command -v redis-server >/dev/null || exit 77

# Usage
expect 1 '' 'is not a cache' ferry broker --store http://h
expect 2 '' 'several hosts' ferry broker --store redis://h,i
expect 2 '' "'lease=' must be a time" ferry broker --store 'redis://h?lease=1ms'
printf '[broker]\nstore = redis://h?name=a%%b\n' >"$work/conf"
expect 2 '' "'name=' must be" ferry broker --config "$work/conf"
printf '[queue q]\ndurability = redis\n' >"$work/conf"
expect 2 '' "no store in Redis" ferry broker --config "$work/conf" --check-config

start_redis() {
    redis-server --port 0 --unixsocket "$work/redis" --dir "$work" --save '' --appendonly yes \
        --appendfsync always >/dev/null &
    redis_pid=$!
    started+=("$redis_pid")
    until_true redis-cli -s "$work/redis" ping
}
start_redis
store="redis+unix://$work/redis?name=shop&lease=2s"
a="ipc://$work/a" b="ipc://$work/b"

broker() { # NAME: its process is in NAME_pid
    start broker --bind "ipc://$work/$1" --store "$store" 2>"$work/log-$1"
    printf -v "$1_pid" %s "$started_pid"
}
waits() { grep -q 'another broker has them' "$work/log-$1"; }

# Redis has the jobs when a push is confirmed, and a second broker waits
broker a
until_true ferry ping --url "$a" || done_testing
broker b
until_true waits b || done_testing
expect 0 '*' '' ferry push mail hello --json --url "$a"
grep -q '"durability": "redis"' "$work/out" || failed 'the durability of the push' "$work/out"
equal redis "$(ferry queue show mail --url "$a" | awk -F'\t' '$1 == "durability" {print $2}')" 'the queue says where it is'
ferry queue list --url "$a" | grep -q 'redis appendfsync=always wait=0' || failed 'the list shows the setting of Redis'
ferry queue list --json --url "$a" | grep -q '"store_setting": "appendfsync=always wait=0"' || failed 'the setting in JSON'
redis-cli -s "$work/redis" config set appendonly no >/dev/null
without_file() { ferry queue list --url "$a" | grep -q 'redis appendonly=no wait=0'; }
until_true without_file
redis-cli -s "$work/redis" config set appendonly yes >/dev/null
redis-cli -s "$work/redis" config set maxmemory-policy allkeys-lru >/dev/null
evicts() { ferry queue list --url "$a" | grep -q 'redis appendfsync=always wait=0 maxmemory-policy=allkeys-lru'; }
until_true evicts
redis-cli -s "$work/redis" config set maxmemory-policy noeviction >/dev/null
expect 0 '' '' ferry queue bind audit 'orders.>' --quiet --url "$a"
seq 1000 | ferry push mail - --quiet --url "$a" >/dev/null || failed 'pushing 1000 jobs'

# kill -9: the other broker takes over when the lease has ended
kill -9 "$a_pid"
until_true ferry ping --url "$b"
equal 1001 "$(ferry queue show mail --url "$b" | awk -F'\t' '$1 == "ready" {print $2}')" 'jobs after kill -9'
equal 'orders.>' "$(ferry queue list --url "$b" | awk -F'\t' '$1 == "audit" {print $12}')" 'the bind after kill -9'
expect 0 'hello' '' ferry work mail --count 1 --url "$b"
# Redis has its acknowledgement when a later push is confirmed.
until_true sh -c "'$ferry_binary' queue show mail --url '$b' | grep -q 'held.0'"
expect 0 '*' '' ferry push other x --quiet --url "$b"

# SIGSTOP: when the stopped broker wakes up, it has lost the queues, and ends
broker a
until_true waits a
kill -STOP "$b_pid"
until_true ferry ping --url "$a"
ferry work mail --slots 100 --drain --url "$a" >"$work/worked" 2>/dev/null
equal "$(seq 1000 | md5sum)" "$(md5sum <"$work/worked")" 'the jobs, in order'
kill -CONT "$b_pid"
status_of "$b_pid"
equal 1 $? 'the status of the broker that lost its lease'
grep -q 'another broker has the queues, ending' "$work/log-b" || failed 'the reason in the log' "$work/log-b"

# SIGTERM: the lease is given back at once; a broker that waits can be ended, too
broker b
until_true waits b
kill "$b_pid"
status_of "$b_pid"
grep -q 'ended before the queues were restored' "$work/log-b" || failed 'a waiting broker ends' "$work/log-b"
expect 0 '*' '' ferry push mail last --quiet --url "$a"
kill "$a_pid"
status_of "$a_pid"
equal 0 $? 'the status of a broker that was drained'
equal 0 "$(redis-cli -s "$work/redis" hget 'ferry:{shop}' until)" 'the lease was given back'

# Redis is killed and started again: with appendfsync always it has everything
broker a
until_true ferry ping --url "$a"
kill -9 "$redis_pid"
wait "$redis_pid" 2>/dev/null
expect '*' '' '' ferry push mail lost --timeout 3s --url "$a"
ferry queue list --json --url "$a" >"$work/list"
grep -q '"degraded": "Redis at' "$work/list" || failed 'the list says why' "$work/list"
expect 0 'last' '' ferry work mail --count 1 --url "$a"
start_redis
until_true ferry push mail again --quiet --url "$a"
ferry work mail --drain --url "$a" >"$work/worked" 2>/dev/null
grep -q again "$work/worked" || failed 'pushes go on' "$work/worked"
ferry queue list --json --url "$a" >"$work/list"
grep -q degraded "$work/list" && failed 'it goes on by itself' "$work/list"

# The id of the data
id=$(redis-cli -s "$work/redis" hget 'ferry:{shop}' id)
kill "$a_pid"
status_of "$a_pid"
redis-cli -s "$work/redis" flushall >/dev/null
expect 1 '' "was emptied" ferry broker --store "$store&id=$id"
equal 0 "$(redis-cli -s "$work/redis" dbsize)" 'nothing was written'

done_testing
