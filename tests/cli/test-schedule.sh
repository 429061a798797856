#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Recurring jobs, end to end: added, listed, refused, removed, and kept by a broker that is killed.
source "$(dirname "$0")/lib.sh" "$1"
broker() {
    start broker --bind "$FERRY_URL" --data "$work/data" --log-level warning
    broker_pid=$started_pid
    until_true ferry ping
}
pushed() { ferry queue show "$1" 2>/dev/null | awk -F'\t' '$1 == "pushed" {print $2}'; }
has_pushed() { [ "$(pushed "$1")" -ge "$2" ]; }
row() { ferry schedule list | awk -F'\t' -v n="$1" '$1 == n'; }

broker
expect 0 '' '' ferry schedule
expect 0 '' "'nightly' pushes jobs to 'reports'" ferry schedule add nightly reports all --cron '30 2 * * 1-5'
expect 0 '' '' ferry schedule add tick ticks --every 1s --missed all
equal 'reports 30 2 * * 1-5 UTC once' "$(row nightly | awk -F'\t' '{print $2, $3, $5, $6}')" 'the list'
row nightly | grep -qE $'\t20[0-9-]+T02:30:00Z\t' || failed 'the next moment'
if [ -e /usr/share/zoneinfo/Europe/Berlin ]; then
    expect 0 '' '' ferry schedule add morning reports --cron '0 6 1 7 *' --tz Europe/Berlin
    row morning | grep -qE $'\t20[0-9]+-07-01T04:00:00Z\t' || failed 'summer time'
fi

# Errors name the field and the place
expect 2 '' "hour '25' at byte 3: a number from 0 to 23" ferry schedule add x q --cron '0 25 * * *'
expect 2 '' "ends before its month" ferry schedule add x q --cron '0 5 *'
expect 2 '' "the only names are @yearly" ferry schedule add x q --cron @reboot
expect 2 '' "'Mars/Olympus' is not in" ferry schedule add x q --cron @daily --tz Mars/Olympus
expect 2 '' 'either --cron or --every' ferry schedule add x q
expect 2 '' '--tz needs --cron' ferry schedule add x q --every 1h --tz UTC
expect 2 '' 'needs a name and a queue' ferry schedule add x --every 1h
expect 2 '' "did you mean 'remove'" ferry schedule remov x
expect 6 '' "there is no schedule 'x'" ferry schedule remove x

# Jobs come, with their headers, also after the broker was killed
until_true has_pushed ticks 1
ferry work ticks --count 1 --json >"$work/job"
grep -q '"ferry-schedule": "tick"' "$work/job" || failed 'the name of the schedule' "$work/job"
kill -9 "$broker_pid"
wait "$broker_pid" 2>/dev/null
broker
until_true has_pushed ticks 1
equal 'reports' "$(row nightly | cut -f2)" 'a schedule after kill -9'
expect 0 '' "'tick' was removed" ferry schedule remove tick
equal '' "$(row tick)" 'a schedule that was removed'
# Each moment has one job. The killed broker may have lost the acknowledgement: then the same job came again.
ferry work ticks --drain --json >>"$work/job" 2>/dev/null
sed -E 's/.*"job": ("[0-9]+").*"ferry-moment": ("[^"]*").*/\2 \1/' "$work/job" | sort -u | cut -d ' ' -f 1 | uniq -d >"$work/twice"
equal '' "$(cat "$work/twice")" 'moments with two jobs'
done_testing
