#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# ferry cache, end to end, with its own Redis. Skipped if redis-server is not installed.
source "$(dirname "$0")/lib.sh" "$1"
command -v redis-server >/dev/null || exit 77

# Usage, which needs no Redis
expect 2 '' "did you mean 'stats'" ferry cache stat
expect 2 '' "'get' needs a key" ferry cache get
expect 2 '' 'needs a key and a value' ferry cache set k
expect 2 '' 'too many arguments for get' ferry cache get a b
expect 2 '' 'use it with bench and stats only' ferry cache get k --cache memory://
expect 2 '' '' ferry cache
expect 0 '*' '' ferry help cache
grep -q 'ferry cache set greeting' "$work/out" || failed 'help has no example' "$work/out"
expect 0 '*' '' ferry cache bench --cache memory:// --count 1000
expect 0 '*' '' ferry cache stats --cache memory:// --json
grep -q '"hits": 0' "$work/out" || failed 'stats as JSON' "$work/out"

# No Redis
expect 3 '' 'ferry cache' ferry cache get k --cache "redis+unix://$work/nobody" --timeout 200ms

redis-server --port 0 --unixsocket "$work/redis" --save '' --dir "$work" >/dev/null &
started+=($!)
export FERRY_CACHE="redis+unix://$work/redis"
until_true ferry cache stats

# Setting and getting
expect 6 '' "the cache has no key 'greeting'" ferry cache get greeting
expect 0 '' '' ferry cache set greeting hello
expect 0 'hello' '' ferry cache get greeting
expect 0 '"hello"' '' ferry cache get greeting --json
expect 0 'until evicted' '' ferry cache ttl greeting
expect 0 '*' '' ferry cache ttl greeting --ttl 1h
grep -qE '^3[56][0-9]{5}$' "$work/out" || failed 'the new ttl' "$work/out"
expect 6 '' "the cache has no key 'none'" ferry cache ttl none
expect 0 '' '' ferry cache del greeting none
expect 6 '' '' ferry cache get greeting
head -c 100000 /dev/urandom >"$work/bytes"
ferry cache set bytes - --ttl 1h <"$work/bytes" || failed 'from standard input'
equal "$(md5sum <"$work/bytes")" "$(ferry cache get bytes | md5sum)" 'bytes come back as they are'
expect 1 '' 'not UTF-8' ferry cache get bytes --json
printf '\x92\x01\xa1x' | ferry cache set packed - || failed 'MessagePack'
expect 0 '[1, "x"]' '' ferry cache get packed --unpack
expect 0 '' '' ferry cache set short x --ttl 50ms
sleep 0.1
expect 6 '' '' ferry cache get short

# Tags and prefixes
expect 0 '' '' ferry cache set a 1 --tags users,user:7
expect 0 '' '' ferry cache set b 2 --tags users
expect 0 '' '' ferry cache tags user:7
expect 6 '' '' ferry cache get a
expect 0 '2' '' ferry cache get b
expect 0 '' '' ferry cache tags users other
expect 6 '' '' ferry cache get b
expect 0 '' '' ferry cache set k mine --prefix one:
expect 6 '' '' ferry cache get k
expect 0 'mine' '' ferry cache get one:k

# Watching: the current value, and each new one
expect 0 '' '' ferry cache set w first
"$ferry_binary" cache watch w --count 2 --every 10ms >"$work/watched" &
watcher=$!
until_true grep -q first "$work/watched"
expect 0 '' '' ferry cache set w second
status_of "$watcher"
equal 0 $? 'watch ends after its count'
equal "$(printf 'first\nsecond')" "$(cat "$work/watched")" 'what was watched'

# Statistics
expect 0 '*' 'the counters of this command' ferry cache stats
grep -qP '^commands\t1[0-9]$' "$work/out" || failed 'ten commands' "$work/out"
expect 0 '*' '' ferry cache bench --count 2000 --size 1K --near
equal '' "$(ferry cache get "ferry.bench:1:0" 2>/dev/null)" 'bench leaves nothing'

# A memoised method's key has a NUL
expect 0 '' '' ferry cache set 'memo\0key\x01\\' value --escaped
expect 0 value '' ferry cache get 'memo\0key\x01\\' --escaped
expect 6 '' '' ferry cache get 'memo\0key\x01\\'
expect 2 '' "is followed by" ferry cache get 'a\q' --escaped
expect 0 '' '' ferry cache del 'memo\x00key\x01\\' --escaped
expect 6 '' '' ferry cache get 'memo\0key\x01\\' --escaped
done_testing
