#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# ferry services, describe, sessions, stats, ping, bench, and completion, end to end.
source "$(dirname "$0")/lib.sh" "$1"
start_broker
served() { ferry services "$1" >/dev/null 2>&1; }

expect 0 '' '' ferry services
expect 0 '[]' '' ferry services --json
start serve demo.Echo.say --echo --instance one
start serve demo.Echo.say --echo --instance two
until_true bash -c "'$ferry_binary' services | grep -q 'demo.Echo.2'"
expect 0 '*' '' ferry services demo.Echo
expect 6 '' "did you mean 'demo.Echo'" ferry services demo.Ehco
expect 6 '' "there is no service 'nobody'" ferry describe nobody
expect 0 '*' '' ferry describe demo.Echo
equal 'one two' "$(cut -f1 "$work/out" | sort | xargs)" 'instances'
expect 0 '*' '' ferry ping demo.Echo
equal 'one two' "$(cut -f1 "$work/out" | sort | xargs)" 'pings'
expect 6 '' '' ferry ping nobody
expect 0 '*' '' ferry ping --count 2 --every 1ms --json
equal 2 "$(grep -c '"us": ' "$work/out")" 'two pings'
expect 0 1 '' ferry call demo.Echo.say 1
expect 0 1 '' ferry call demo.Echo.say 1 --instance two
expect 0 '*' '' ferry stats demo.Echo
equal '0 0' "$(cut -f3 "$work/out" | xargs)" 'neither calls nor pings have failed'
grep -q '^say	2	0	' "$work/out" || failed 'calls are counted' "$work/out"
expect 0 '*' '' ferry stats ferry.Broker
grep -q '^services	[1-9]' "$work/out" || failed "the broker's own calls are counted" "$work/out"
expect 0 '*' '' ferry stats
grep -q '^calls	' "$work/out" || failed 'counters' "$work/out"
expect 0 '*' '' ferry sessions
[ "$(wc -l <"$work/out")" -ge 3 ] || failed 'three sessions' "$work/out"
expect 0 '*' '' ferry sessions serve
expect 6 '' 'no session' ferry sessions nobody

for bench in 'call --serve' 'call --serve --in-flight 1' pub push 'push --work' 'pub --size 1K'; do
    expect 0 '*' '' ferry bench $bench --count 2000 --json
    grep -q '"count": 2000, "failed": 0, ' "$work/out" || failed "bench $bench" "$work/out"
    grep -q '"p99.9": [0-9]' "$work/out" || failed "bench $bench: times" "$work/out"
done
equal 0 "$(ferry queue show ferry-bench.queue | awk -F'\t' '$1 == "ready" {print $2}')" 'bench cleans up'
expect 0 '*' '' ferry bench call --serve --count 100
grep -q ' p50 ' "$work/out" || failed 'bench for people' "$work/out"
expect 6 '*' 'with --serve' ferry bench call nobody.Here.say --count 10
# A measurement of topics ends with an error if the broker is lost, and does not wait for lost messages.
brief="ipc://$work/brief"
start broker --bind "$brief" --log-level error
brief_broker=$started_pid
start bench pub --url "$brief" --count 1000000000 --wait 1m >/dev/null 2>"$work/lost"
bench=$started_pid
until_true bash -c "'$ferry_binary' stats --url '$brief' | grep -q 'published.[1-9][0-9]'"
kill -9 "$brief_broker"
start broker --bind "$brief" --log-level error
status_of "$bench"
equal 3 $? 'a measurement whose broker was lost'
grep -q 'measure again' "$work/lost" || failed 'the reason' "$work/lost"

# Completion: what bash asks
words() { ferry __complete --wait 2m -- "$@" | sort | xargs; }
equal 'serve services session sessions' "$(words se)" 'commands'
equal 'demo.Echo' "$(words call demo)" 'live services'
expect 0 '*' '' ferry push mail x
equal 'mail' "$(words queue peek ma)" 'live queues'
equal 'mail' "$(words work mail --then '' | tr ' ' '\n' | grep mail)" 'live queues after --then'
equal 'list' "$(words queue li)" 'words'
equal '--timeout' "$(words call x.y --timeo)" 'options'
equal 'debug' "$(words broker --log-level d)" 'values'
equal 'call' "$(words help cal)" 'commands after help'
equal '' "$(words nonsense '')" 'an unknown command'
expect 0 '' '' ferry __complete -- call --url "ipc://$work/nobody" ''
ferry completion bash | bash -n || failed 'the script is bash'
# One method, names by pattern, again and again
expect 0 '*' '' ferry describe ferry.Broker.sessions
grep -q 'list<SessionStatus> sessions()' "$work/out" || failed 'the method' "$work/out"
! grep -q 'QueueStatus\|purge' "$work/out" || failed 'only the method and its types' "$work/out"
expect 6 '' "'ferry.Broker' has no method 'sesions'" ferry describe ferry.Broker.sesions
expect 6 '' "'demo.Echo' does not describe its methods" ferry describe demo.Echo.say
expect 6 '' "there is no service 'nobody.Here.say'" ferry describe nobody.Here.say
expect 0 '*' '' ferry services 'demo.*'
equal 'demo.Echo' "$(cut -f1 "$work/out")" 'services by a pattern'
expect 6 '' "there is no service 'shop.>'" ferry services 'shop.>'
start services 'demo.>' --watch 100ms >"$work/watched"
until_true bash -c "[ \$(grep -c '^demo.Echo' '$work/watched') -ge 3 ]"
kill "$started_pid"
expect 0 '*' '' ferry sessions serve --json
grep -q "\"address\": \"process [0-9]*\", \"pid\": ${started[1]}" "$work/out" || failed 'the process of a session' "$work/out"

# bash splits words at ':': what stands before the cursor is complete
at_tab() { # LINE: the candidates, after bash's own way to split a line
    source <(ferry completion)
    ferry() { "$ferry_binary" "$@"; }
    COMP_LINE=$1 COMP_POINT=${#1} COMP_WORDS=() COMPREPLY=()
    local word rest=$1
    while [[ $rest =~ ^[[:space:]]*([^[:space:]:=]+|[:=]+)(.*)$ ]]; do
        COMP_WORDS+=("${BASH_REMATCH[1]}") rest=${BASH_REMATCH[2]}
    done
    [[ $1 == *' ' ]] && COMP_WORDS+=('')
    COMP_WORDS[0]=$program COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
    COMP_LINE="$program${1#ferry}" COMP_POINT=$((${#1} - 5 + ${#program}))
    _ferry
    printf '%s\n' "${COMPREPLY[@]}" | sort | xargs
}
printf '#!/bin/sh\nshift 2\nexec "%s" __complete --wait 2m -- "$@"\n' "$ferry_binary" >"$work/patient"
chmod +x "$work/patient"
program=$work/patient
equal 'demo.Echo' "$(at_tab "ferry call -u $FERRY_URL demo.E")" 'after a URL'
equal 'demo.Echo' "$(at_tab "ferry call --url=$FERRY_URL demo.E")" 'after --url=URL'
equal 'serve services session sessions' "$(at_tab "ferry se")" 'a command'
equal 'mail' "$(at_tab "ferry queue peek ma")" 'a queue'
program=$ferry_binary
equal '' "$(at_tab "ferry call -u tcp://127.0.0.1:1 demo.E")" 'another broker'
done_testing
