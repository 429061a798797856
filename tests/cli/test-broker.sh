#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# ferry broker, end to end: its endpoints, its options, and its end.
source "$(dirname "$0")/lib.sh" "$1"
broker() { timeout -k 5 120 "$ferry_binary" broker --log-level warning "$@"; }

# Endpoints
expect 2 '' "neither tcp://HOST:PORT nor ipc://PATH" broker --bind localhost
expect 2 '' "neither tcp://HOST:PORT nor ipc://PATH" broker --bind udp://127.0.0.1:1
expect 2 '' "port is not a number from 1 to 65535" broker --bind tcp://127.0.0.1:99999
expect 2 '' "followed by HOST:PORT" broker --url tcp://127.0.0.1
expect 4 '' 'can be reached from other machines' broker --bind tcp://0.0.0.0:0
expect 4 '' 'can be reached from other machines' broker --bind 'tcp://*:0'
start broker --log-level warning --bind tcp://0.0.0.0:0 --insecure 2>"$work/open"
until_true grep -q 'anybody who reaches tcp://0.0.0.0:[0-9]* from another machine' "$work/open"
expect 1 '' 'cannot open /nowhere/x.lock' broker --bind ipc:///nowhere/x
echo precious >"$work/file"
expect 1 '' 'exists and is not a socket' broker --bind "ipc://$work/file"
equal precious "$(cat "$work/file")" 'a file in the way is left alone'
start broker --bind tcp://localhost:0 --bind 'tcp://[::1]:0' --bind "$FERRY_URL" 2>"$work/log"
until_true grep -q ready "$work/log"
for host in '127.0.0.1' '\[::1]'; do
    expect 0 '*' '' ferry ping --url "$(grep -o "tcp://$host:[0-9]*" "$work/log")"
done
expect 1 '' "another broker uses $FERRY_URL" broker
# Its clients' URL may choose libzmq: the broker takes the address behind zmq+.
expect 1 '' "another broker uses $FERRY_URL" broker --url "zmq+$FERRY_URL"
expect 1 '' 'is taken' broker --bind "$(grep -o 'tcp://127.0.0.1:[0-9]*' "$work/log")"

# Options and configuration
configured() { # CONFIGURATION: is it right?
    printf '%b' "$1" >"$work/conf"
    broker --bind "ipc://$work/checked" --config "$work/conf" --check-config
}
expect 0 '' '' configured '[broker]\nmax_body = 1M\n[queue mail.>]\nretry = 5s\n[topic a.*]\nkeep = 5\n'
expect 2 '' ":2: cannot listen on 'udp://x'" configured '[broker]\nbind = udp://x\n'
expect 2 '' ":2: \[broker\] has no setting 'max_bdy'; did you mean 'max_body'?" configured '[broker]\nmax_bdy = 1\n'
expect 2 '' ":2: .*queues have no setting with this name; did you mean 'max_jobs'?" configured '[queue q]\nmax_job = 1\n'
expect 2 '' ":2: .*max_bdy" configured '[broker]\nmax_bdy = 1\n[queue q]\nmax_job = 1\n[topic t]\nkeep = x\n'
expect 2 '' ":4: .*max_job" configured '[broker]\nmax_bdy = 1\n[queue q]\nmax_job = 1\n[topic t]\nkeep = x\n'
expect 2 '' ":6: .*keep" configured '[broker]\nmax_bdy = 1\n[queue q]\nmax_job = 1\n[topic t]\nkeep = x\n'
expect 1 '' 'cannot read /nowhere' broker --config /nowhere
expect 1 '' 'cannot make the data folder /nowhere/data' broker --bind "ipc://$work/other" --data /nowhere/data

# A stopped broker (SIGSTOP): no command hangs
broker_pid=$started_pid
mkfifo "$work/lines"
exec 7<>"$work/lines"
"$ferry_binary" push q - --timeout 10s <&7 2>"$work/said" &
push_pid=$!
echo one >&7
until_true bash -c "'$ferry_binary' queue show q | grep -q 'ready.1'"
kill -STOP "$broker_pid"
echo two >&7
expect 5 '' '' status_of "$push_pid"
exec 7>&-
grep -q 'nothing was confirmed for 10000 ms' "$work/said" || failed 'a push that hangs' "$work/said"
grep -q '1 of 2 jobs are stored' "$work/said" || failed 'what was stored is told' "$work/said"
expect 3 '' 'answers at' ferry push q x --timeout 300ms
expect 3 '' 'answers at' ferry call a.b --timeout 300ms
kill -CONT "$broker_pid"
until_true ferry ping

# SIGTERM drains: begun calls are finished, and lost ones are reported
seq 3 | ferry push slow - && ferry push idle x
start work slow --exec "until [ -e '$work/go' ]; do sleep 0.05; done; cat" >"$work/done" 2>"$work/worker"
until_true bash -c "'$ferry_binary' queue show slow | grep -q 'held.1'"
kill -TERM "$broker_pid"
until_true grep -q draining "$work/log"
expect 3 '' 'shutting down' ferry call a.b --timeout 5s
touch "$work/go"
expect 0 '' '' status_of "$broker_pid"
equal '1 2 3' "$(xargs <"$work/done")" 'jobs that a worker takes are done before the end'
grep -q 'jobs=[1-9]$' "$work/log" || failed 'what ends with the broker is told' "$work/log"
grep -q 'did not begin' "$work/log" && failed 'a client that comes late is no stranger' "$work/log"

# Long-running commands report disconnects and reconnects, and continue
until_true grep -q 'ended the session: draining: trying again' "$work/worker"
start broker --bind "$FERRY_URL" --log-level warning
until_true grep -q 'ferry work: connected again' "$work/worker"
expect 0 '*' '' ferry push slow again
until_true grep -q again "$work/done"
expect '*' '' 'cannot listen on tcp://nowhere.invalid:7: its host was not found' ferry broker --insecure --bind tcp://nowhere.invalid:7
done_testing
