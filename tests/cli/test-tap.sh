#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# ferry tap, end to end: live, saved, read back, opened by tshark.
source "$(dirname "$0")/lib.sh" "$1"
start_broker
tapped() { # a tap is there when a message that it selects reaches it
    ferry pub probe x && [ -s "$1" ]
}

# Live: every message of a call, a topic and a queue, in order, and no other
start serve calc.Calc.add --echo
until_true ferry ping calc.Calc
start sub 'orders.*' --count 1 >"$work/sub"
sub=$started_pid
until_true bash -c "'$ferry_binary' topics | grep -q -F 'orders.*'"
start tap --service calc.Calc --topic 'orders.*' --topic probe --queue mail --json --bytes 64 >"$work/tap"
tap=$started_pid
until_true tapped "$work/tap"
expect 0 '[2, 3]' '' ferry call calc.Calc.add 2 3
expect 0 '' '' ferry pub orders.new '{"id": 42}'
expect 0 '' '' ferry pub other.topic unseen
expect 0 '*' '' ferry push mail hello
expect 0 'hello' '' ferry work mail --count 1
status_of "$sub"
acknowledged() { grep -q '"message": "ACK"' "$work/tap"; }
until_true acknowledged
kill "$tap"
wait "$tap" 2>/dev/null
kinds() { grep -v '"probe"' "$work/tap" | sed -E 's/.*"sent": (true|false).*"message": "([A-Z]+)".*/\1 \2/'; }
equal 'false CALL
true CALL
false OK
true OK
false PUBLISH
true MESSAGE
false PUSH
true JOB
false ACK' "$(kinds)" 'the messages, in order'
equal 1 "$(grep -c '"message": "PUSH".*"body": "hello"' "$work/tap")" 'the body of a job'
equal 1 "$(grep -c '"message": "CALL".*"sent": false\|"sent": false.*"message": "CALL".*"method": "add".*"body": \[2, 3\]' "$work/tap")" 'the arguments of a call'
equal 0 "$(grep -c unseen "$work/tap")" 'a topic that no pattern matches'

# For people, a line for each message; one method alone
start tap --service 'calc.>' --method sub --topic probe >"$work/lines"
lines=$started_pid
start tap --topic 'probe' --count 1 >"$work/one"
one=$started_pid
until_true tapped "$work/one"
status_of "$one"
equal 0 $? 'a tap that has its count'
kill "$lines"
wait "$lines" 2>/dev/null
equal 1 "$(grep -cE '^[0-9:.]{15}  from [0-9]+ ferry pub/[0-9]+  PUBLISH probe, 1 B  x$' "$work/one")" 'a line for people'

# Saved, read back, and not saved in another format
start tap --topic 'orders.*' --count 3 --save "$work/file.pcapng"
save=$started_pid
saved() { ferry pub orders.new "$1"; kill -0 "$save" 2>/dev/null || return 0; return 1; }
until_true saved body
expect 0 '*' '' ferry tap --read "$work/file.pcapng"
equal 3 "$(wc -l <"$work/out")" 'records of a file'
expect 0 '*' '' ferry tap --read "$work/file.pcapng" --json
equal 3 "$(grep -c '"topic": "orders.new".*"body": "body"' "$work/out")" 'a file as JSON'
if command -v tshark >/dev/null; then
    n_checks=$((n_checks + 1))
    tshark -r "$work/file.pcapng" -V >"$work/tshark" 2>/dev/null
    [ "$(grep -c 'Protocols in frame: exported_pdu:msgpack' "$work/tshark")" = 3 ] &&
        grep -q 'Column protocol string: PUBLISH orders.new' "$work/tshark" || failed 'tshark reads the file' "$work/tshark"
else
    echo 'no tshark: the file is not opened by it'
fi

# Bad input
head -c 100 "$work/file.pcapng" >"$work/cut.pcapng"
expect 1 '*' 'byte [0-9]*: the file ends inside a block' ferry tap --read "$work/cut.pcapng"
echo 'no capture, but some text of a few bytes' >"$work/text"
expect 1 '' 'is invalid\|not a pcapng file' ferry tap --read "$work/text"
expect 1 '' 'No such file' ferry tap --read "$work/nowhere"
expect 2 '' 'invalid pattern' ferry tap --topic 'a..b'
expect 2 '' '--read prints a whole file' ferry tap --read "$work/file.pcapng" --topic a
expect 2 '' '' ferry call ferry.Broker.tap '[]' '[]' '[]' --unchecked
done_testing
