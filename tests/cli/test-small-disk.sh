#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A data folder on a small tmpfs, in a mount namespace of this test's own: full, and read-only.
if [ "${2:-}" != inside ]; then
    for flags in -m -rm; do
        unshare $flags true 2>/dev/null && exec unshare $flags bash "$0" "$1" inside
    done
    echo "skipped: this system allows no mount namespace"
    exit 77
fi
source "$(dirname "$0")/lib.sh" "$1"
mkdir "$work/disk"
mount -t tmpfs -o size=4m ferry-test "$work/disk" || {
    echo "skipped: this system allows no tmpfs"
    exit 77
}
leave() {
    local i
    for ((i = ${#started[@]} - 1; i >= 0; i--)); do kill -9 "${started[i]}" 2>/dev/null; done
    wait 2>/dev/null
    umount "$work/disk"
    finish
}
trap leave EXIT

start_on_disk() {
    start broker --bind "$FERRY_URL" --data "$work/disk/data" --log-level warning
    until_true ferry ping
}
n_pushed=0
push_until_full() {
    for n in $(seq 100); do
        ferry push mail "$(printf 'job %03d %060000d' "$n_pushed" 0)" >"$work/pushed" 2>"$work/refused" || return
        n_pushed=$((n_pushed + 1))
    done
    failed 'the disk is never full'
}

# Full: pushes are refused, and the broker says why
head -c 1500000 /dev/zero >"$work/disk/filler"
start_on_disk
broker=$started_pid
start sub ferry.events.store.degraded --unpack any >"$work/degraded"
until_true sh -c "'$ferry_binary' topics | grep -q store.degraded"
started_pid=$broker
push_until_full
grep -q 'the disk of the broker is full' "$work/refused" || failed 'the refusal has its reason' "$work/refused"
[ "$n_pushed" -gt 5 ] || failed "only $n_pushed pushes"
before=$n_pushed
expect 8 '' 'the disk of the broker is full' ferry push mail "$(printf '%060000d' 0)"
expect 8 '' 'the broker cannot keep the change: its disk is full' ferry queue set mail max_jobs 5000
expect 8 '' 'the broker cannot keep the change: its disk is full' ferry queue bind mail 'orders.>'
ferry queue list 2>&1 | grep -q 'the disk is full' || failed 'ferry queue list shows the reason'
ferry stats | grep -q 'the disk is full' || failed 'ferry stats shows the reason'

# Jobs can still be taken and acknowledged
equal 'job 000' "$(ferry work mail --count 1 | cut -c 1-7)" 'a job is taken from a full disk'
equal $((before - 1)) "$(ferry queue show mail --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["ready"])')" 'it is acknowledged'

# Space comes back: pushing resumes by itself
rm "$work/disk/filler"
until_true ferry push mail "$(printf 'job %03d %060000d' "$n_pushed" 0)"
n_pushed=$((n_pushed + 1))
told() { grep -q "$1" "$work/degraded"; }
until_true told '"store": "disk", "reason": "[^"]*the disk is full'
until_true told '"store": "disk", "reason": ""'
push_until_full

# A full disk, a killed broker: everything that was confirmed is there, and emptying makes room
kill -9 "$started_pid"
wait "$started_pid" 2>/dev/null
start_on_disk
ferry work mail --drain | grep -o '^job [0-9]*' >"$work/got"
seq -f 'job %03g' 1 $((n_pushed - 1)) | diff - "$work/got" >"$work/diff" || failed 'nothing is lost' "$work/diff"
until_true ferry push mail "$(printf '%060000d' 0)"
kill "$started_pid"
wait "$started_pid"

# Read-only
mount -o remount,ro "$work/disk"
expect 1 '' 'disk/data.*Read-only file system' ferry broker --bind "$FERRY_URL" --data "$work/disk/data"
expect 1 '' 'disk/new.*Read-only file system' ferry broker --bind "$FERRY_URL" --data "$work/disk/new"
expect 0 '*' '' ferry store check "$work/disk/data"
expect 0 '*' '' ferry store dump "$work/disk/data"
equal 1 "$(wc -l <"$work/out")" 'a folder that cannot be written can be read'
expect 1 '' 'Read-only file system' ferry store compact "$work/disk/data"
mount -o remount,rw "$work/disk"
start_on_disk
equal 1 "$(ferry work mail --drain | wc -l)" 'the folder is as it was'
done_testing
