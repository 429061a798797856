#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# ferry call and ferry serve, end to end.
source "$(dirname "$0")/lib.sh" "$1"
start_broker
served() { ferry services "$1" >/dev/null 2>&1; }

start serve demo.Echo.say --echo --slots 4
start serve text.Text.upper --exec 'tr a-z A-Z' --slots 4
start serve json.Json.args --exec 'cat; printenv FERRY_METHOD FERRY_HEADER_TRACE_ID >&2' --format json
start serve bad.Bad.fail --exec 'echo no disk left >&2; exit 1' --quiet
start serve bad.Busy.fail --exec 'exit 75' --quiet
start serve calc.Calc.div --fail calc.DivisionByZero:'cannot divide'
start serve out.Out.fail --fail out.Failed --redact-errors
start serve slow.Slow.wait --echo --delay 5s
for name in demo.Echo text.Text json.Json bad.Bad bad.Busy calc.Calc out.Out slow.Slow; do
    until_true served $name
done

# Values and results
expect 0 '"hi"' '' ferry call demo.Echo.say '"hi"'
expect 0 '["hi", 2, -3]' '' ferry call demo.Echo.say '"hi"' 2 -3
expect 0 '[]' '' ferry call demo.Echo.say
expect 0 '-7' '' ferry call demo.Echo.say -7
expect 0 '-0.5' '' ferry call demo.Echo.say -0.5
expect 0 '{"a": [1, 2.5, null, true]}' '' ferry call demo.Echo.say '{"a": [1, 2.5, null, true]}'
expect 0 '{"$bin": "AAEC"}' '' ferry call demo.Echo.say '{"$bin": "AAEC"}'
expect 0 '{"$int": "18446744073709551615"}' '' ferry call demo.Echo.say '{"$int": "18446744073709551615"}'
echo '{"from": "a file"}' >"$work/args"
expect 0 '{"from": "a file"}' '' ferry call demo.Echo.say "@$work/args"
expect 0 '[1, "piped"]' '' bash -c "echo '[1, \"piped\"]' | timeout -k 5 120 '$ferry_binary' call demo.Echo.say -"
expect 0 "$(printf '1\n1\n1')" '' ferry call demo.Echo.say 1 --count 3
equal 500 "$(ferry call demo.Echo.say 1 --count 500 --in-flight 50 | wc -l)" 'calls in flight'
equal 'a2 68 69' "$(ferry call demo.Echo.say '"hi"' --raw | od -An -tx1 | xargs)" 'raw bytes'
expect 0 '"hi"' ' ms' ferry call demo.Echo.say '"hi"' --time
# Each call has its own start time: the first answer starts the third call, and the second call was
# started before that.
start serve lazy.Lazy.wait --slots 2 --exec "mkdir '$work/first' 2>/dev/null && exec sleep 0.2; exec sleep 1"
until_true served lazy.Lazy
expect 0 "$(printf '""\n""\n""')" '' ferry call lazy.Lazy.wait --time --count 3 --in-flight 2
[ "$(sed -n '2s/.*: \([0-9]*\)\..*/\1/p' "$work/err")" -ge 1000 ] || failed 'the time of the second call' "$work/err"

# Commands that serve
expect 0 '"HELLO"' '' ferry call text.Text.upper '"hello"'
expect 0 '[7]' '' ferry call text.Text.upper 7 # no text: the list, as JSON
expect 0 '["x"]' '' ferry call json.Json.args '"x"' -H trace-id:abc
expect 7 '' 'ferry.Internal: no disk left' ferry call bad.Bad.fail
expect 8 '' 'ferry.Overloaded' ferry call bad.Busy.fail

# Several methods in one process
start serve text.Case.upper text.Case.lower --exec 'case $FERRY_METHOD in *.upper) tr a-z A-Z;; *) tr A-Z a-z;; esac' --slots 4
until_true served text.Case
expect 0 '"HI"' '' ferry call text.Case.upper '"Hi"'
expect 0 '"hi"' '' ferry call text.Case.lower '"Hi"'
expect 6 '' "NoSuchMethod" ferry call text.Case.title '"Hi"'
expect 2 '' "'nodot' is not a method" ferry serve a.B.c nodot --echo

# Errors, each with its status
expect 2 '' "argument 2: 'hi' is not JSON: a text needs its quotes, '\"hi\"'" ferry call demo.Echo.say 1 hi
expect 7 '' 'calc.DivisionByZero: cannot divide' ferry call calc.Calc.div 1 0
grep -q 'in calc.Calc.div on' "$work/err" || failed 'the origin is printed' "$work/err"
expect 7 '' '^{"error": {"type": "calc.DivisionByZero", "message": "cannot divide", "origin": "calc' \
    ferry call calc.Calc.div 1 0 --json
equal 1 "$(wc -l <"$work/err")" 'an error in JSON is a line'
expect 7 '' 'out.Failed' ferry call out.Out.fail
equal 1 "$(wc -l <"$work/err")" 'lines of an error for outsiders'
expect 6 '' "has no method 'mul'" ferry call calc.Calc.mul
expect 6 '' "did you mean 'calc.Calc'" ferry call calc.Clac.div
expect 6 '' "no server offers 'nobody'" ferry call nobody.here
expect '*' '' "waiting for a server of 'never.Never'" ferry call never.Never.say '"x"' --wait-for-server --timeout 3s
ferry call late.Late.say '"hi"' --wait-for-server --timeout 2m >"$work/late" 2>&1 &
late=$!
until_true grep -q 'waiting for a server' "$work/late"
start serve late.Late.say --echo
status_of "$late"
equal 0 $? 'a call that waited for its server'
equal '"hi"' "$(tail -1 "$work/late")" 'its answer'
expect 5 '' 'ferry.DeadlineExceeded' ferry call slow.Slow.wait --timeout 200ms --wait 2m
expect 6 '' '' ferry call demo.Echo.say --instance nobody
expect 1 '' 'does not describe its methods' ferry call demo.Echo.say --template
expect 2 '' "invalid method name 'a b.c'" ferry call 'a b.c'
# Hints are for errors of the broker. An error that a service throws gets no hint.
start serve own.Own.find --fail 'ferry.NotFound:no such book'
until_true served own.Own
expect 6 '' 'ferry.NotFound: no such book' ferry call own.Own.find
! grep -q 'ferry services' "$work/err" || failed "a hint for a service's own error" "$work/err"
(printf '"' && head -c 67108860 /dev/zero | tr '\0' a && printf '"') >"$work/huge"
expect 8 '' 'TooBig: the arguments have 67108866 bytes; the limit (max_body) is 67108864' ferry call demo.Echo.say "@$work/huge" --unchecked
rm "$work/huge"

# Ctrl-C while waiting
start serve stuck.Stuck.wait --exec "touch '$work/stuck'; exec sleep 600"
until_true served stuck.Stuck
start call stuck.Stuck.wait --timeout 10m
call=$started_pid
until_true test -e "$work/stuck"
kill -INT "$call"
status_of "$call" 2>/dev/null
equal 130 $? 'a call that is interrupted'

# A command ends when its caller gives up, and when the server stops.
start serve sleep.Sleep.long --exec "echo \$\$ >>'$work/pids'; exec sleep 60"
server=$started_pid
until_true served sleep.Sleep
# On a busy machine the command may not have begun in this time: then once more.
until [ -s "$work/pids" ]; do expect 5 '' '' ferry call sleep.Sleep.long --timeout 300ms --wait 2m; done
begun=$(wc -l <"$work/pids")
ended() { ! runs "$(tail -1 "$work/pids")"; }
until_true ended
start call sleep.Sleep.long --timeout 2m 2>"$work/told"
call=$started_pid
until_true bash -c "[ \$(wc -l <'$work/pids') -gt $begun ]"
kill -INT "$server"
status_of "$server"
equal 130 $? 'a server that is interrupted'
status_of "$call"
! grep -q broker "$work/told" || failed 'a caller is told that the broker is shutting down' "$work/told"
grep -q 'this server is shutting down' "$work/told" || failed 'a caller is told about its server' "$work/told"
until_true ended

# --count
start serve once.Once.say --echo --count 1
once=$started_pid
until_true served once.Once
expect 0 '1' '' ferry call once.Once.say 1
status_of "$once"
equal 0 $? 'a server that has served its count'
done_testing
