#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A disk that hangs, and then fails: the broker serves all that needs no disk, confirms nothing that was not
# flushed, and never flushes again after a failure.
source "$(dirname "$0")/lib.sh" "$1"
shim=$2
disk=$work/disk
mkdir "$disk"
printf '[queue fast]\ndurability = memory\n[queue often]\ndurability = interval:10ms\n' >"$work/conf"

start_on_disk() { # [OPTION...]
    LD_PRELOAD=$shim FERRY_TEST_DISK=$disk start broker --bind "$FERRY_URL" --data "$work/data" --config "$work/conf" \
        --log-level warning "$@" 2>"$work/log"
    broker=$started_pid
    until_true ferry ping
}
# /readyz, if this ferry has a web side
"$ferry_binary" broker --help | grep -q -e '--web' && web=(--web 127.0.0.1:0 --log-level info) || web=()
port() { sed -n 's|.*the dashboard is at http://127.0.0.1:\([0-9]*\)/.*|\1|p' "$work/log"; }
is_ready() { # STATUS
    [ ${#web[@]} -eq 0 ] || python3 - "$(port)" "$1" <<'END'
import http.client, sys
connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=20)
connection.request("GET", "/readyz")
answer = connection.getresponse()
print(answer.status, answer.read())
sys.exit(answer.status != int(sys.argv[2]))
END
}

start_on_disk "${web[@]}"
until_true is_ready 200
start serve text.Text.upper --exec 'tr a-z A-Z'
until_true ferry call text.Text.upper '"hello"'
expect 0 '*' '' ferry push mail first

# The disk hangs: a push waits, and calls are not affected
touch "$disk/hang"
"$ferry_binary" push mail second --timeout 10m >"$work/second" 2>&1 &
pusher=$!
started+=("$pusher")
until_true sh -c "'$ferry_binary' sessions | grep -q push"
for i in $(seq 5); do
    expect 0 '"HELLO"' '' ferry call text.Text.upper '"hello"'
    expect 0 '*' '' ferry push fast "$i"
    expect 0 '*' '' ferry push often "$i"
done
expect 0 "$(seq 5)" '' ferry work fast --drain
expect 0 '*' '' ferry queue list
expect 0 '*' '' ferry stats
kill -0 "$pusher" || failed 'a push was confirmed without a flush' "$work/second"
equal '' "$(cat "$work/second")" 'no number, no error'
rm "$disk/hang"
status_of "$pusher"
equal 0 $? 'the push, after the flush'
expect 0 first '' ferry work mail --count 1
# Its acknowledgement is on the disk when a later push is confirmed.
until_true sh -c "'$ferry_binary' queue show mail | grep -q 'held.0'"
expect 0 '*' '' ferry push other x

# A flush fails: its push is not confirmed, later ones are refused, and the reason is shown
touch "$disk/fail"
start push mail third --timeout 10m >"$work/third" 2>&1
pusher=$started_pid
until_true test -e "$disk/failed"
until_true sh -c "'$ferry_binary' stats | grep -q 'Input/output error'"
until_true is_ready 503
expect '*' '' 'Input/output error' ferry push mail fourth --timeout 1m
ferry queue list 2>&1 | grep -q 'Input/output error' || failed 'ferry queue list shows the reason'
grep -q 'Input/output error' "$work/log" || failed 'the log has the reason' "$work/log"
expect 0 '"HELLO"' '' ferry call text.Text.upper '"hello"'
expect 0 '*' '' ferry push fast 1
expect 0 '*' '' ferry work mail --count 1
equal second "$(cat "$work/out")" 'a job in memory is delivered'
[ ! -e "$disk/again" ] || failed 'the broker flushed again after a failure'
kill "$pusher" || failed 'a push whose flush failed has ended'
equal '' "$(cat "$work/third")" 'a push whose flush failed is not confirmed'
kill "$broker"
status_of "$broker"
equal 1 $? 'the exit status of a broker whose disk has failed'
[ ! -e "$disk/again" ] || failed 'the broker flushed again when it stopped'

# The next start has what was confirmed
rm "$disk/failed"
start_on_disk
ferry work mail --drain >"$work/jobs" 2>"$work/err"
grep -qx 'second' "$work/jobs" || failed 'the confirmed job whose acknowledgement was not stored' "$work/jobs"
! grep -qx 'first\|fourth' "$work/jobs" || failed 'an acknowledged or a refused job' "$work/jobs"
expect 0 '*' '' ferry push mail fifth
done_testing
