#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A URL that lists several brokers: lists are joined, and tell the broker of each row.
source "$(dirname "$0")/lib.sh" "$1"
a=ipc://$work/a b=ipc://$work/b
for url in "$a" "$b"; do
    start broker --bind "$url" --log-level warning
    until_true ferry ping --url "$url"
done
export FERRY_URL="$a,$b?prefer=order"
column() { awk -F'\t' -v n="$1" '{print $n}' "$work/out"; }

# A server is at both brokers
start serve echo.Echo.say --exec cat
until_true eval 'ferry services --json | jq -e "length == 2 and all(.instances == 1 or (.instances | length) == 1)"'
expect 0 '*' '' ferry services
equal "$(printf '%s\n' echo.Echo echo.Echo)" "$(column 1)" 'the service, once for each broker'
equal "$(printf '%s\n' "$a" "$b")" "$(column 2 | sort)" 'the brokers of the service'
for url in "$a" "$b"; do expect 0 '*' '' ferry call echo.Echo.say '"hello"' --url "$url"; done

# A queue at one broker, and one at each
expect 0 '*' '' ferry push mail one --url "$a"
expect 0 '*' '' ferry push mail two --url "$b"
expect 0 '*' '' ferry push post three --url "$b"
expect 0 '*' '' ferry queue list
equal "$(printf '%s\n' "mail $a 1" "mail $b 1" "post $b 1")" "$(awk -F'\t' '{print $1, $2, $3}' "$work/out" | sort)" 'the queues'
equal "$(printf 'one\ntwo\n')" "$(ferry work mail --drain | sort)" 'a worker takes jobs from both brokers'

expect 0 '[]' 'no store with shards' ferry shards --json

# Sessions, counters, top
equal 2 "$(ferry sessions --json | jq '[.[].broker] | unique | length')" 'sessions at both brokers'
equal 2 "$(ferry stats --json | jq length)" 'counters of both brokers'
equal 1 "$(ferry stats | grep -c "broker.$a$")" 'each with its URL'
equal 3 "$(ferry top --once --every 100ms --json | jq '.stats.pushed')" 'the sum of the counters of both'

# A broker that does not answer: the next one of the list does
kill -STOP "${started[0]}"
expect 0 '*' '' ferry ping
expect 0 '*' '' ferry ping --url "ipc://$work/none,$a,$b?prefer=order"
kill -CONT "${started[0]}"

# A broker that is away is left out, with a note
kill "${started[1]}"
wait "${started[1]}" 2>/dev/null
expect 0 '*' "left out: no broker listens at $b" ferry queue list
equal "$a" "$(column 2 | sort -u)" 'the queues of the other broker'
expect 0 '*' '' ferry call echo.Echo.say '"hello"'
expect 2 '' 'lists the broker' ferry ping --url "$a,$a"

# The brokers of a name: localhost often has an address without a broker, too
start broker --insecure --bind 'tcp://127.0.0.1:*' --bind "ipc://$work/c" 2>"$work/log"
port() { sed -n 's|.*listening on tcp://127.0.0.1:\([0-9]*\)$|\1|p' "$work/log" | grep .; }
until_true port
export FERRY_URL=tcp+dns://localhost:$(port)
expect 0 '*' '' ferry push mail four
ferry queue list >"$work/out" 2>/dev/null
equal mail "$(column 1)" 'the queue of the broker that was found'
expect 0 four '' ferry work mail --drain
# Two URLs of one broker
start serve two.Urls.say --exec cat --url "ipc://$work/c,tcp://127.0.0.1:$(port)" 2>"$work/notes"
until_true grep -q 'left out: .*it is the same broker as' "$work/notes"
two="ipc://$work/c,tcp://127.0.0.1:$(port)"
expect 0 '*' '' ferry push mail five --url "$two"
equal "mail ipc://$work/c" "$(ferry queue list --json --url "$two" | jq -r '.[] | "\(.name) \(.broker)"')" 'one broker, once'
equal 1 "$(ferry stats --json --url "$two" | jq length)" 'the counters of one broker, once'
expect 2 '' 'without a port' ferry ping --url tcp+srv://localhost:1
expect 2 '' 'a URL has no other broker beside it' ferry ping --url "tcp+srv://localhost,$a"
done_testing
