#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# ferry push, work and queue, end to end.
source "$(dirname "$0")/lib.sh" "$1"
start_broker
field() { ferry queue show "$1" | awk -F'\t' -v k="$2" '$1 == k {print $2}'; }
has() { [ "$(field "$1" "$2")" = "$3" ]; }

# Pushing and working
expect 0 '*' '' ferry push mail hello -H trace-id:abc
equal 1 "$(field mail ready)" 'a job is ready'
expect 0 '*' '' ferry work mail --count 1 --json
equal '{"queue": "mail", "job": "N", "attempt": 1, "headers": {"trace-id": "abc"}, "body": "hello"}' \
    "$(sed 's/"job": "[1-9][0-9]*"/"job": "N"/' "$work/out")" 'a job as JSON'
equal 0 "$(field mail ready)" 'and then it is not'
seq 5000 | ferry push lines - || failed 'pushing lines'
equal "$(seq 5000 | md5sum)" "$(ferry work lines --slots 100 --drain | md5sum)" '5000 lines'
for _ in $(seq 6); do head -c 15000000 /dev/zero | tr '\0' x; echo; done >"$work/large"
ferry push large - <"$work/large" || failed 'pushing lines of 15 MB'
equal 6 "$(field large ready)" 'lines that cannot all be under way at once'
expect 0 '*' '' ferry push many x --count 3
equal 3 "$(field many ready)" '--count'
equal 2 "$(printf 'a\nb\nc\n' | ferry push few - --count 2 && field few ready)" '--count of lines'
printf 'a\nb' >"$work/body"
expect 0 '*' '' ferry push files --file "$work/body"
expect 0 "$(printf 'a\nb')" '' ferry work files --count 1
expect 0 '*' '' ferry push once x --key k
expect 0 '*' '' ferry push once x --key k
equal 1 "$(field once ready)" '--key'
expect 0 '*' '' ferry push later x --delay 1h
equal 1 "$(field later delayed)" '--delay'
expect 0 '*' '' ferry push ranks low
expect 0 '*' '' ferry push ranks high --priority 9
expect 0 "$(printf 'high\nlow')" '' ferry work ranks --count 2

# One job: its number, and the commands for it
job=$(ferry push one x --delay 1h)
equal delayed "$(ferry job show "$job" | awk -F'\t' '$1 == "state" {print $2}')" 'a delayed job'
expect 0 '' 'the next one' ferry job run-now "$job"
expect 0 x '' ferry work one --count 1
expect 6 '' "there is no job $job" ferry job show "$job"
job=$(ferry push one y --at 2030-01-01T00:00Z)
equal 1 "$(field one delayed)" '--at'
expect 0 '*' "is in 'moved' as job" ferry job move "$job" moved
moved=$(cat "$work/out")
equal moved "$(ferry job show "$moved" --json | sed 's/.*"queue": "\([a-z]*\)".*/\1/')" 'a moved job'
expect 0 '' 'is cancelled' ferry job cancel "$moved"
equal 0 "$(field moved ready)" 'a cancelled job is gone'
job=$(ferry push one z --key again)
expect 0 "$job" "nothing was pushed: job $job has the key 'again'" ferry push one z --key again
expect 0 "{\"job\": $job, \"duplicate\": true, \"durability\": \"memory\"}" '' \
    ferry push one z --key again --json
expect 2 '' 'is not a time' ferry push one z --at tomorrow
expect 2 '' 'either --at or --delay' ferry push one z --at 18:00 --delay 1s
expect 2 '' 'needs --key' ferry push one z --unique
expect 2 '' 'move needs the queue' ferry job move 1
expect 2 '' 'not the number of a job' ferry job show x
expect 2 '' "did you mean 'cancel'" ferry job cancle 1

# The command of a cancelled job ends
job=$(ferry push steered x)
start work steered --count 1 --exec "echo \$\$ >'$work/child'; exec sleep 60" 2>"$work/told"
worker=$started_pid
until_true test -s "$work/child"
expect 0 '' '' ferry job cancel "$job"
status_of "$worker"
equal 0 $? 'the worker of a cancelled job'
grep -q 'was cancelled: its command was ended' "$work/told" || failed 'the worker says so' "$work/told"
until_true bash -c "! kill -0 $(cat "$work/child") 2>/dev/null"
ferry push orderly 1 --order k >/dev/null && ferry push orderly 2 --order k >/dev/null
expect 0 "$(printf '1\n2')" '' ferry work orderly --count 2 --slots 2
expect 0 '' "'orderly': max_working = 3" ferry queue set orderly max_working 3
equal 3 "$(field orderly max_working)" 'a setting by command'
expect 2 '' 'rate must be a number of jobs per time' ferry queue set orderly rate 10
expect 2 '' "did you mean 'rate'" ferry queue set orderly rat 10/s
expect 0 '' '' ferry queue unset orderly max_working
equal 0 "$(field orderly max_working)" 'a setting that has ended'

# Watching
start queue list --watch 100ms >"$work/watched"
until_true bash -c "[ \$(grep -c '^ranks' '$work/watched') -ge 3 ]"
start queue show ranks --watch 100ms >"$work/watched-one"
until_true bash -c "[ \$(grep -c '^ready' '$work/watched-one') -ge 3 ]"
expect 2 '' 'for list, show and peek' ferry queue purge ranks --yes --watch 1s

# Jobs beyond --count return to the queue without a counted attempt
seq 6 | ferry push counted - || failed 'pushing'
expect 0 "$(seq 2)" '' ferry work counted --count 2
expect 0 "$(printf '3\n4')" '' ferry work counted --count 2 --slots 8
expect 0 '*' '' ferry queue peek counted
equal '5 0 6 0' "$(cut -f7,3 "$work/out" | sort | awk '{print $2, $1}' | xargs)" 'attempts'

# Commands: their environment, and the effect of their exit status
expect 0 '*' '' ferry push env body -H trace-id:abc
expect 0 'env 1 abc body' '' ferry work env --count 1 \
    --exec 'echo "$FERRY_QUEUE $FERRY_ATTEMPT $FERRY_HEADER_TRACE_ID $(cat)"'
expect 0 '*' '' ferry push bad x
expect 0 '' 'rejected: no disk' ferry work bad --count 1 --exec 'echo no disk >&2; exit 1'
equal 'no disk' "$(ferry queue peek bad.dead | cut -f6)" 'the reason in the dead letters'
expect 0 '*' '' ferry push again x
expect 0 '' 'to be retried' ferry work again --count 1 --exec 'exit 75' --delay 1ms
expect 0 '2' '' ferry work again --count 1 --exec 'echo $FERRY_ATTEMPT'
expect 0 '*' '' ferry push thrice x
expect 0 '3' '' ferry work thrice --drain --retries 5 --delay 1ms \
    --exec '[ $FERRY_ATTEMPT -ge 3 ] && echo $FERRY_ATTEMPT'
# --drain ends when the queue is empty: not while a job waits for its retry, or is with another worker
expect 0 '*' '' ferry push patient x
expect 0 'twice' '' ferry work patient --drain --retries 1 --delay 1500ms --exec '[ $FERRY_ATTEMPT -eq 2 ] && echo twice' -q
expect 0 '*' '' ferry push shared x
start work shared --exec 'sleep 60' -q
holder=$started_pid
until_true has shared held 1
start work shared --drain >"$work/drained"
drainer=$started_pid
sleep 1.5
kill -INT "$holder"
status_of "$drainer"
equal 0 $? 'a worker that drains'
equal x "$(cat "$work/drained")" 'the job that another worker gave back'

# If a worker is killed, its commands and their child processes end, too
expect 0 '*' '' ferry push killed x
start work killed --exec "sleep 60 & echo \$\$ \$! >'$work/pids'; wait"
worker=$started_pid
until_true test -s "$work/pids"
read -r shell child <"$work/pids"
kill -9 "$worker"
gone() { ! runs "$shell" && ! runs "$child"; }
until_true gone
expect 0 x '' ferry work killed --count 1
# Also if it is killed as soon as the command has begun
expect 0 '*' '' ferry push hasty x
start work hasty --exec "echo \$\$ >'$work/hasty'; kill -9 \$PPID; exec sleep 600"
until_true test -s "$work/hasty"
ended() { ! runs "$(cat "$work/hasty")"; }
until_true ended

# As process 1 it waits for orphans
if unshare -fp true 2>/dev/null; then
    expect 0 '*' '' ferry push orphans x
    unshare -fp --kill-child "$ferry_binary" work orphans \
        --exec "setsid sh -c 'echo begun >$work/orphan; exec sleep 0.3' & exit 0" &
    started+=($!)
    first=$!
    until_true test -s "$work/orphan"
    until_true bash -c "! ps -o stat= --ppid \$(pgrep -P $first) | grep -q -v '^S.*s'"
    until_true bash -c "[ \$(ps -o pid= --ppid \$(pgrep -P $first) | wc -l) -le 1 ]"
    kill "$(pgrep -P "$first")"
fi
expect 0 '*' '' ferry push slow x
expect 0 '' 'the command took longer than --timeout' ferry work slow --count 1 --exec 'sleep 60' --timeout 200ms
expect 0 '*' '' ferry push big x
expect 0 '*' '' ferry work big --count 1 --exec 'head -c 1000000 /dev/zero'
equal 1000001 "$(wc -c <"$work/out")" 'a large output'

# Stages
printf 'a\nb\n' | ferry push first - || failed 'pushing to the first stage'
expect 0 '' '' ferry work first --count 2 --then second --exec 'tr a-z A-Z' -q
expect 0 '' '' ferry work second --count 2 --then third
expect 0 "$(printf 'A\nB')" '' ferry work third --count 2

# Children run in parallel, as many as there are slots
printf '1\n2\n3\n4\n' | ferry push par - || failed 'pushing'
# Each command waits until all four have begun.
ferry work par --slots 4 --count 4 -q --exec "echo >>'$work/begun'; until [ \$(wc -l <'$work/begun') -eq 4 ]; do sleep 0.05; done" ||
    failed 'working in parallel'

# On SIGTERM running commands finish; on SIGINT their jobs return to the queue
printf '1\n2\n' | ferry push term - || failed 'pushing'
start work term --exec "touch '$work/term-begun'; sleep 0.7; cat" >"$work/term" 2>/dev/null
worker=$started_pid
until_true test -e "$work/term-begun"
kill -TERM "$worker"
status_of "$worker"
equal 0 $? 'SIGTERM'
equal 1 "$(wc -l <"$work/term")" 'what ran was finished'
until_true has term ready 1
start work term --exec 'sleep 60' 2>/dev/null
worker=$started_pid
until_true has term held 1
kill -INT "$worker"
status_of "$worker"
equal 130 $? 'SIGINT'
until_true has term ready 1

# Looking and moving. The broker forgets an empty queue after a while.
expect 0 '*' '' ferry push mail kept
expect 0 '' 'paused' ferry queue pause many
equal true "$(field many paused)" 'pause'
expect 0 '' '' ferry queue resume many
expect 0 '2' '' ferry queue move many other --limit 2
equal 2 "$(field other ready)" 'move'
expect 0 '1' '' ferry queue retry bad
equal 1 "$(field bad ready)" 'retry'
expect 2 '' '--limit is for peek, move and retry' ferry queue purge other --limit 1 --yes
expect 2 '' '--limit is for peek, move and retry' ferry queue --limit 1
expect 2 '' '--unpack is for peek' ferry queue show other --unpack i32
equal 2 "$(field other ready)" 'a refused purge deletes nothing'
expect 0 '2' '' ferry queue purge other --yes
expect 6 '' "did you mean 'mail'" ferry queue show maill
expect 6 '' "there is no queue 'nowhere'" ferry queue peek nowhere
expect 6 '' '^{"error": {"type": "ferry.NotFound", "message": "there is no queue' \
    ferry queue peek nowhere --json
expect 0 '*' '' ferry queue
grep -q "^mail	1	" "$work/out" || failed 'the list is of tabs' "$work/out"
expect 0 '*' '' ferry queue list --json
head -1 "$work/out" | grep -q '^\[{"name": ' || failed 'JSON' "$work/out"
expect 2 '' 'invalid queue name' ferry push 'a b' x
expect 4 '' 'PermissionDenied' ferry push ferry.internal x
# Wrong usage is reported before any change
expect 2 '' "invalid queue name 'a b'" ferry push 'a b' x
expect 2 '' '1 to 255 bytes' ferry push q x --key ''
printf '[broker]\nbind = ipc://%s/small\nmax_body = 1K\n' "$work" >"$work/small.conf"
start broker --config "$work/small.conf" --log-level warning
until_true ferry ping --url "ipc://$work/small"
head -c 2000 /dev/zero >"$work/large"
expect 8 '' 'TooBig: .*2000 bytes' ferry push q --file "$work/large" --url "ipc://$work/small"
expect 8 '' 'TooBig: .*2000 bytes' ferry pub t --file "$work/large" --url "ipc://$work/small"
expect 2 '' '1 to 255 bytes' ferry push q x --key "$(printf 'k%.0s' $(seq 256))"
expect 2 '' "invalid queue name 'a b'" ferry work q --then 'a b' --exec "touch '$work/run'"
expect 4 '' "names that begin with 'ferry.' belong to the broker" ferry work q --then ferry.q --exec "touch '$work/run'"

# In a pipe names are whole, and lists in order
long=$(printf 'q%.0s' $(seq 250))
expect 0 '*' '' ferry push "$long" x
expect 0 '*' '' ferry push a.first x
ferry queue | cut -f1 >"$work/names"
grep -qx "$long" "$work/names" || failed 'a long name is whole' "$work/names"
equal "$(LC_ALL=C sort "$work/names" | xargs)" "$(xargs <"$work/names")" 'queues are in order'
done_testing
