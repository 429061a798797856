#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Ctrl-C, closed descriptors, readers that go away and full disks: the right exit status each time,
# and no job is lost.
# The program that runs the tests may ignore signals, as nohup does, and its children inherit that.
[ -n "${SIGNALS_ARE_RESET:-}" ] ||
    SIGNALS_ARE_RESET=1 exec env --default-signal=HUP,INT,PIPE,TERM bash "$0" "$@"
source "$(dirname "$0")/lib.sh" "$1"
start_broker
ready() { [ "$(ferry queue show "$1" | awk -F'\t' '$1 == "ready" {print $2}')" = "$2" ]; }
on_full() { ferry "$@" >/dev/full; }
without_stdin() { ferry "$@" <&-; }
without_stdout() { ferry "$@" >&-; }

# A disk that is full
expect 0 '*' '' ferry push full x
for words in 'ping' '--help' '--version' 'help work' 'queue' 'stats' 'completion' 'queue peek full' \
    'call ferry.Broker.stats' 'bench push --count 10' 'work full' 'work full --exec cat'; do
    expect 1 '' 'cannot write' on_full $words
done
expect 0 '' '' ferry pub kept x --retain
expect 1 '' 'cannot write' on_full sub kept --count 1
until_true ready full 1

# Closed standard descriptors: their output must not go to another descriptor
expect 1 '' 'standard input' without_stdin push closed -
expect 1 '' 'cannot write' without_stdout ping
expect 1 '' 'cannot write' without_stdout work full
until_true ready full 1
expect 0 '*' '' without_stdin push closed x

# A reader that has gone away
mkfifo "$work/pipe"
exec 8<>"$work/pipe" 9>"$work/pipe" 8<&-
ferry work full >&9
equal 141 $? 'a worker without a reader'
exec 9>&-
until_true ready full 1
(until_true bash -c "'$ferry_binary' topics | grep -q -F 'piped.>'" && seq 3 | ferry pub piped.x -) &
equal $'1\n141 0' "$(ferry sub 'piped.>' | head -1; echo "${PIPESTATUS[@]}")" 'the first of a pipe'

# Ctrl-C goes to the whole group of processes that the terminal runs
printf '1\n2\n' | ferry push group - || failed 'pushing'
set -m # each job a group of its own, as a terminal has it
"$ferry_binary" work group --slots 2 --quiet \
    --exec "echo \$\$ >>'$work/pids'; exec sleep 60" &
worker=$!
set +m
until_true bash -c "[ \$(wc -l <'$work/pids') -eq 2 ]"
kill -INT -- "-$worker"
status_of "$worker"
equal 130 $? 'a worker that is interrupted'
until_true ready group 2
for pid in $(cat "$work/pids"); do
    ! runs "$pid" || failed "the command $pid still runs"
done

# The terminal is closed
start work group --exec 'sleep 60' --quiet
worker=$started_pid
until_true ready group 1
kill -HUP "$worker"
status_of "$worker"
equal 130 $? 'a worker whose terminal is closed'
until_true ready group 2

# `tail -f log | ferry pub logs -` continues after the broker was away for longer than publishes
# wait
start sub outage >"$work/received" 2>/dev/null
until_true bash -c "'$ferry_binary' topics | grep -q outage"
mkfifo "$work/log"
exec 7<>"$work/log"
"$ferry_binary" pub outage - <"$work/log" 2>"$work/told" 7>&- &
pub=$!
started+=("$pub")
echo one >&7
until_true grep -q one "$work/received"
kill -9 "${started[0]}"
until_true grep -q 'trying again' "$work/told"
echo two >&7
sleep 5.5
echo three >&7
start_broker 7>&-
# The subscriber may be back later than the publisher.
until_true bash -c "echo more >&7; grep -q more '$work/received'"
exec 7>&-
status_of "$pub"
equal 0 $? 'a publisher that lived through an outage'

# While it waits for a broker that does not answer
export FERRY_URL="ipc://$work/nobody"
for words in 'sub x' 'work x' 'serve a.b --echo' 'call a.b' 'pub a b' 'push a b' 'gather a' \
    'services' 'queue' 'ping' 'bench call'; do
    start $words --wait 1m 2>/dev/null </dev/null
    waiting=$started_pid
    # The shell starts it with SIGINT ignored: a signal before the first instructions of main() has no effect.
    for _ in $(seq 600); do
        sleep 0.1
        kill -INT "$waiting"
        runs "$waiting" || break
    done
    status_of "$waiting"
    equal 130 $? "interrupted while it waits: $words"
done

done_testing
