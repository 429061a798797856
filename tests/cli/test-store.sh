#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# ferry broker --data and ferry store: jobs survive kill -9, and ferry store shows the folder.
source "$(dirname "$0")/lib.sh" "$1"

# Folders that are refused, and stay as they are
mkdir "$work/mine"
echo precious >"$work/mine/notes"
expect 2 '' "mine is not a data folder of ferry: it has a file 'notes'" ferry broker --data "$work/mine"
expect 1 '' "mine is not a data folder of ferry: it has no file 'format'" ferry store check "$work/mine"
equal notes "$(ls "$work/mine")" 'a folder of others is left alone'
expect 1 '' 'cannot open the data folder /nowhere' ferry store check /nowhere
expect 2 '' 'expected check, stats, dump or compact' ferry store look "$work/mine"

# A killed broker
start_on_disk() {
    start broker --bind "$FERRY_URL" --data "$work/data" --log-level warning
    until_true ferry ping
}
start_on_disk
expect 0 '*' '' ferry push mail one --priority 3
expect 0 '*' '' ferry push mail two
expect 0 '*' '' ferry push later three --delay 1h
expect 0 '*' '' ferry queue pause later
expect 1 '' 'another broker uses' ferry store check "$work/data"
kill -9 "$started_pid"
wait "$started_pid" 2>/dev/null || true
ferry store check "$work/data" | grep -q '^3 jobs, 1 segments, [0-9]* records: ok$' || failed 'check'
equal 3 "$(ferry store stats "$work/data" --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["jobs"])')" 'stats count the jobs'
equal '"one" "two" "three"' "$(ferry store dump "$work/data" | grep -o '"body": "[a-z]*"' | cut -d' ' -f2 | xargs -d'\n')" 'dump prints the bodies'
example=$(ferry help store | sed -n "s,^  ferry store dump [^ ]* | ,,p")
equal 2 "$(ferry store dump "$work/data" | eval "$example" | wc -l)" "the help's example finds the jobs of the queue mail"
expect 0 '' '3 jobs of' ferry store compact "$work/data"
ferry store check "$work/data" | grep -q '^3 jobs, 1 segments, [0-9]* records: ok$' || failed 'check'
start_on_disk
equal 'one two' "$(ferry work mail --drain | xargs)" 'the jobs are there after kill -9'
ferry queue show later | grep -q 'paused.*yes\|paused.*true' || failed 'the queue is paused still'
ferry queue show later | grep -q 'durability.*disk' || failed 'the durability is shown'
ferry stats later | grep -q 'durability.*disk' || failed 'the durability of one queue is in the stats'
ferry stats | grep -q 'durability.*disk' || failed 'the usual durability is in the stats'
kill "$started_pid"
wait "$started_pid" 2>/dev/null || true

# A job that was dropped from memory is read back before it is shown
printf '[broker]\nmax_queue_memory = 64K\n' >"$work/small.conf"
start broker --bind "$FERRY_URL" --data "$work/other" --config "$work/small.conf" --log-level warning
until_true ferry ping
ferry push once x --key k --count 20 --quiet || failed 'the jobs with the same key are duplicates'
equal 1 "$(ferry work once --drain | wc -l)" 'one job of each key'
ferry queue set quick durability memory --quiet
ferry push quick volatile --quiet
expect 0 '' "'quick' has jobs: until they are gone, its durability is still memory" \
    ferry queue set quick durability disk
equal volatile "$(ferry work quick --count 1)" 'the job in memory'
expect 0 '*' '' ferry push quick safe --json
grep -q '"durability": "disk"' "$work/out" || failed 'the queue without jobs is on disk' "$work/out"
for _ in $(seq 100); do printf 'A%01500d\n' 7; done | ferry push many - --quiet || failed 'pushing'
first=$(ferry queue peek many --json | grep -o '"job": [0-9]*' | head -1 | grep -o '[0-9]*$')
equal A0 "$(ferry job show "$first" | awk -F'\t' '$1 == "body" {print substr($2, 1, 2)}')" 'the body of a job on disk'
ferry push tied x --order o --key k --unique --quiet >"$work/out" || failed 'pushing'
kill "$started_pid"
wait "$started_pid" 2>/dev/null || true
ferry store dump "$work/other" | grep -q '"order": "o", "unique": "k"' || failed 'dump prints the keys of a job'

# A flipped bit
at=$(grep -abo three "$work"/data/journal-* | head -1 | cut -d: -f2)
file=$(grep -l three "$work"/data/journal-* | head -1)
printf X | dd of="$file" bs=1 seek="$at" conv=notrunc status=none
expect 1 '*' '' ferry store check "$work/data"
ls "$work/data" | grep -q quarantine && failed 'check changes nothing'
start_on_disk
ls "$work/data/quarantine" | grep -q '^damaged-' || failed 'damage is kept'
done_testing
