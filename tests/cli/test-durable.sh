#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Durable subscriptions, end to end: a subscriber that is away while the broker is killed twice finds
# every message.
source "$(dirname "$0")/lib.sh" "$1"
n=100000 chunk=10000

broker() {
    start broker --bind "$FERRY_URL" --data "$work/data" --config "$work/conf" --log-level warning
    broker_pid=$started_pid
    until_true ferry ping
}
field() { ferry queue show "$1" | awk -F'\t' -v k="$2" '$1 == k {print $2}'; }

printf '[queue logged]\nbind = logs.> errors\n' >"$work/conf"
broker
expect 0 '' "messages of 'orders.>' become jobs of 'audit'" ferry queue bind audit 'orders.>'
expect 0 '' '' ferry queue bind billing orders.new
expect 2 '' 'needs a queue and a topic pattern' ferry queue bind audit
expect 2 '' "the pattern 'a..b'" ferry queue bind audit a..b
expect 6 '' "the queue 'audit' is not bound to 'x'" ferry queue unbind audit x
expect 2 '' "the configuration binds the queue 'logged'" ferry queue unbind logged errors
equal 'orders.>' "$(ferry queue list | awk -F'\t' '$1 == "audit" {print $12}')" 'the list has the pattern'
equal '{"bound": ["logs.>", "errors"]}' \
    "$(ferry queue list --json | grep -o '"name": "logged".*' | grep -o '"bound": \[[^]]*\]' | sed 's/.*/{&}/')" 'as JSON'

# Messages while the subscriber is away; the broker is killed while two of the chunks are published. A
# chunk that is not confirmed is published again.
publish() { seq "$1" "$(($1 + chunk - 1))" | ferry pub orders.new - --confirm --quiet 2>>"$work/refused"; }
repeated=0
for ((first = 1; first <= n; first += chunk)); do
    if [ "$first" -eq 20001 ] || [ "$first" -eq 70001 ]; then
        before=$(field audit pushed)
        publish "$first" &
        publisher=$!
        until_true sh -c "[ \"\$($ferry_binary queue show audit | awk -F'\t' '\$1 == \"pushed\" {print \$2}')\" -gt $before ]"
        kill -9 "$broker_pid"
        wait "$broker_pid" 2>/dev/null
        broker
        status_of "$publisher" && continue
        repeated=$((repeated + 1))
    fi
    publish "$first" || failed "chunk $first was not confirmed" "$work/refused"
done
ferry work audit --slots 1000 --drain >"$work/all" 2>/dev/null
equal "$n" "$(sort -nu "$work/all" | wc -l)" 'every message is there'
equal "1 $n" "$(sort -nu "$work/all" | sed -n '1p;$p' | xargs)" 'and no other one'
# A message came twice only if its chunk was published twice.
sort -n "$work/all" | uniq -d | awk -v chunk="$chunk" '{print int(($1 - 1) / chunk)}' | sort -u >"$work/twice"
[ "$(wc -l <"$work/twice")" -le "$repeated" ] || failed 'duplicates without a reason' "$work/twice"
equal "$(sort -nu "$work/all" | md5sum)" "$(ferry work billing --slots 1000 --drain 2>/dev/null | sort -nu | md5sum)" 'the other queue has the same'

# The topic is a header; a bind of the configuration ends with its line
expect 0 '' '' ferry pub logs.app.web hello --confirm
equal '{"ferry-topic": "logs.app.web"}' \
    "$(ferry work logged --count 1 --json | grep -o '{"ferry-topic": [^}]*}')" 'the topic of the job'
printf '[queue logged]\nbind = errors\nmax_jobs = 1\n' >"$work/conf"
expect 0 '' '' ferry reload
expect 0 '' '' ferry pub logs.app.web hello --confirm
equal 0 "$(field logged ready)" 'a bind that has left the configuration'
expect 0 '' '' ferry pub errors one --confirm
expect 8 '' "queue 'logged' is full" ferry pub errors two --confirm
expect 8 '' "queue 'logged' is full" ferry pub errors two --retain
expect 0 '' 'no longer become jobs' ferry queue unbind audit 'orders.>'
expect 0 '' '' ferry pub orders.new x --confirm
equal 0 "$(field audit ready)" 'a bind that has ended'
done_testing
