#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The broker's events, end to end, with ferry sub: as MessagePack, and by the interface file.
# usage: test-events.sh FERRY EVENTS.thrift
source "$(dirname "$0")/lib.sh" "$1"
interface=$(readlink -f "$2")
start_broker
start sub 'ferry.events.>' --topics --unpack any >"$work/all"
until_true sh -c "ferry() { '$ferry_binary' \"\$@\"; }; ferry ping && grep -q session.up '$work/all'"
start sub 'ferry.events.queue.dead' --count 1 --unpack "$interface:DeadLetter" >"$work/dead"
dead=$started_pid
until_true sh -c "'$ferry_binary' topics | grep -q queue.dead"

start serve calc.Calc.add --echo
server=$started_pid
until_true ferry ping calc.Calc
kill "$server"
expect 0 '*' '' ferry push mail hello
expect 0 '*' '' ferry work mail --count 1 --exec 'echo "no address" >&2; exit 1'
status_of "$dead"
equal 0 $? 'the subscriber of one topic'
equal 1 "$(grep -c '"queue": "mail".*"attempts": 1.*"reason": "no address"' "$work/dead")" 'a dead letter, by the interface file'
expect 4 '' 'ferry.PermissionDenied' ferry pub --confirm ferry.events.session.up '{}'
expect 2 '' 'cannot be bound' ferry queue bind mail 'ferry.events.>'
has() { grep -q "$1" "$work/all"; }
for text in 'ferry.events.service.added.*"service": "calc.Calc"' 'ferry.events.service.lost.*"servers": 0' \
    'ferry.events.session.down.*"reason": "bye"' 'ferry.events.queue.dead'; do
    until_true has "$text"
done
done_testing
