#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# ferry pub, sub, gather and topics, end to end.
source "$(dirname "$0")/lib.sh" "$1"
start_broker
subscribed() { ferry topics | grep -q -F -e "$1"; }

# A value that cannot be retained
printf '[broker]\nmax_names = 2\n' >"$work/few"
few="ipc://$work/few-names"
start broker --bind "$few" --config "$work/few" --log-level error
until_true ferry -u "$few" ping
expect 0 '' '' ferry -u "$few" pub one x --retain
expect 0 '' '' ferry -u "$few" pub two x --retain
expect 8 '' 'no room for another retained value' ferry -u "$few" pub three x --retain

# Subscriptions to a pattern and to a topic, with a count
start sub 'orders.*' --count 2 --json >"$work/one"
one=$started_pid
start sub orders.new --count 1 >"$work/two"
two=$started_pid
until_true subscribed 'orders.*'
until_true subscribed 'orders.new'
expect 0 '' '' ferry pub orders.new first -H trace:abc
expect 0 '' '' ferry pub orders.paid second
expect 0 '' '' ferry pub orders.eu.new third
status_of "$one"
equal 0 $? 'a subscriber that has its count'
status_of "$two"
equal '{"topic": "orders.new", "seq": 1, "missed": 0, "headers": {"trace": "abc"}, "body": "first"}
{"topic": "orders.paid", "seq": 2, "missed": 0, "body": "second"}' "$(cat "$work/one")" 'JSON'
equal first "$(cat "$work/two")" 'a body'

# Lines, files, counts; no message is lost
start sub lines --count 20000 >"$work/lines"
lines=$started_pid
until_true subscribed lines
seq 20000 | ferry pub lines - || failed 'publishing lines'
status_of "$lines"
equal "$(seq 20000 | md5sum)" "$(md5sum <"$work/lines")" '20000 lines'
start sub files --count 3 >"$work/files"
files=$started_pid
until_true subscribed files
printf 'two\nlines' >"$work/body"
expect 0 '' '' ferry pub files --file "$work/body"
expect 0 '' '' ferry pub files x --count 2
status_of "$files"
equal "$(printf 'two\nlines\nx\nx')" "$(cat "$work/files")" 'a file, and a count'

# Bytes that are not UTF-8
start sub bytes --count 1 --json >"$work/bytes"
bytes=$started_pid
until_true subscribed bytes
printf '\377\000' >"$work/body"
expect 0 '' '' ferry pub bytes --file "$work/body"
status_of "$bytes"
equal '"body": {"$bin": "/wA="}}' "$(grep -o '"body.*' "$work/bytes")" 'bytes in JSON'

# Retained and kept messages
expect 0 '' '' ferry pub config.limit 42 --retain
expect 0 '42' '' ferry sub config.limit --count 1
expect 0 "$(printf 'config.limit\t42')" '' ferry sub 'config.>' --topics --count 1
expect 0 '*' '' ferry topics config.limit
expect 0 '*' '' ferry topics 'config.*'
equal config.limit "$(cut -f1 "$work/out")" 'topics by a pattern'
ferry sub config.limit --time --count 1 >"$work/out"
grep -q -E '^[0-9-]{10}T[0-9:]{8}\.[0-9]{3}[+-][0-9]{4}	42$' "$work/out" || failed 'the time of arrival' "$work/out"
ferry sub config.limit --time --count 1 --json >"$work/out"
grep -q -E '"time": "[0-9-]{10}T[0-9:]{8}\.[0-9]{3}[+-][0-9]{4}", "seq"' "$work/out" || failed 'the time in JSON' "$work/out"
expect 6 '' "there is no topic 'nowhere'" ferry topics nowhere

# Groups: each message to one of them
start sub jobs --group g --count 5 >"$work/g1"
g1=$started_pid
start sub jobs --group g --count 5 >"$work/g2"
g2=$started_pid
until_true bash -c "'$ferry_binary' topics | grep -q '^jobs.*2'"
seq 10 | ferry pub jobs - || failed 'publishing to a group'
status_of "$g1"
status_of "$g2"
equal "$(seq 10 | sort)" "$(sort "$work/g1" "$work/g2")" 'a group shares'

# Ends
expect 5 '' 'no message for 200 ms' ferry sub silence --timeout 200ms
start sub silence
sub=$started_pid
until_true subscribed silence
kill -INT "$sub"
status_of "$sub"
equal 130 $? 'Ctrl-C'
expect 2 '' '' ferry sub 'a..b'
expect 2 '' '' ferry pub 'a b' x
(until_true subscribed piped && seq 3 | ferry pub piped -) &
equal 1 "$(ferry sub piped | head -1)" 'the first of a pipe'

# Gather
start sub room --answer here -q >/dev/null
start sub room --answer 'here, too' -q >"$work/asked"
until_true bash -c "'$ferry_binary' topics | grep -q '^room.*2'"
ferry gather room 'who?' --window 20s | sort >"$work/out"
equal "$(printf 'here\nhere, too')" "$(cat "$work/out")" 'answers'
until_true grep -qx 'who?' "$work/asked"
expect 0 '*' '' ferry gather room 'who?' --window 20s --json
grep -q '^{"from": "ferry sub/[0-9]*", "session": [0-9]*, "body": "here"}$' "$work/out" ||
    failed 'an answer in JSON, with the client that gave it' "$work/out"
expect 0 '*' '' ferry gather room 'who?' --window 20s --from
grep -q "^ferry sub/[0-9]*	*here$" "$work/out" || failed 'who answered' "$work/out"
start sub 'load.>' --exec 'printf "%s asks: " "$FERRY_TOPIC"; cat; [ "$FERRY_HEADER_WHO" = nobody ] && exit 3; true' --count 4 >"$work/told" 2>"$work/failed"
command=$started_pid
until_true subscribed 'load.>'
expect 0 'load.now asks: how much?' '' ferry gather load.now 'how much?' --window 20s
expect 5 '' 'no subscriber of .load.now. answered' ferry gather load.now 'for you' --window 300ms -H who:nobody
expect 0 '' '' ferry pub load.told 'no question'
expect 0 "$(printf 'load.a asks: two\nlines')" '' ferry gather load.a "$(printf 'two\nlines')" --window 20s
status_of "$command"
equal 0 $? 'a subscriber with a command, and its count'
equal 'load.told asks: no question' "$(cat "$work/told")" 'the output for a message that is not a question is printed'
grep -q 'failed: exit status 3' "$work/failed" || failed 'the failure of a command is reported' "$work/failed"
start sub slow --exec 'exec sleep 60'
command=$started_pid
until_true subscribed slow
expect 0 '' '' ferry pub slow x
sleep 0.3
kill -INT "$command"
status_of "$command"
equal 130 $? 'Ctrl-C while a command runs'
expect 2 '' 'either --answer or --exec' ferry sub room --answer x --exec y
expect 5 '' 'no subscriber of .empty.room. answered' ferry gather empty.room hello --window 100ms
equal 1 "$(ferry gather room 'who?' --window 60s --count 1 | wc -l)" 'the first answer'
expect 2 '' 'the question is given twice' ferry gather room -
expect 4 '' "are the broker's" ferry pub ferry.news x
done_testing
