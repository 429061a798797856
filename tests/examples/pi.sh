#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Pi from 100 million bits, with workers that come and go: usage: pi.sh FERRY EXAMPLES
set -euo pipefail
ferry=$1 examples=$2
scratch=$(mktemp -d)
pids=()
trap 'for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; wait "$pid" 2>/dev/null || true; done; rm -rf "$scratch"' EXIT
export FERRY_URL=ipc://$scratch/ferry
start() { "$@" >>"$scratch/log" 2>&1 & pids=($! "${pids[@]}"); }
until_true() { for _ in $(seq 2400); do "$@" >/dev/null 2>&1 && return; sleep 0.05; done; cat "$scratch/log"; echo "not in time: $*"; return 1; }

start "$ferry" broker --bind "$FERRY_URL" --log-level warning
until_true "$ferry" ping
start "$examples/pi-server"
start "$examples/pi-worker" first
until_true grep -q "first is ready" "$scratch/log"

# The hazard: a message without a subscriber is lost without notice.
"$ferry" pub pi.nobody lost

# A second worker comes while it runs. The client is stopped meanwhile: the first worker could do all of the work.
# On a busy machine it may be more than half done before it is stopped: then once more.
begin() {
    rm -f "$scratch/out"
    "$examples/pi-client" "${PI_MILLIONS:-100}" 1 >"$scratch/out" &
    client=$!
    until_true grep -q '%' "$scratch/out"
    kill -STOP "$client" 2>/dev/null && [ "$(grep -c '%' "$scratch/out")" -le 5 ]
}
until begin; do
    kill -CONT "$client" 2>/dev/null || true
    wait "$client"
done
start "$examples/pi-worker" second
until_true grep -q "second is ready" "$scratch/log"
kill -CONT "$client"
wait "$client"
cat "$scratch/out"
python3 - "$scratch/out" <<'PY'
import re, sys
out = open(sys.argv[1]).read()
inside, points, pi = re.search(r"(\d+) of (\d+) points are inside: pi is about ([\d.]+)", out).groups()
assert abs(float(pi) - 3.14159) < 0.005, "three digits"
assert int(points) == 100 * 10**6 // 62, "every point was counted, none twice"
counted = dict(re.findall(r"(\w+) counted (\d+) batches", out))
assert int(counted["first"]) > 0 and int(counted["second"]) > 0, "both worked"
PY

# The batches of a worker that is killed are lost, and the client reports that; the other batches count.
"$examples/pi-client" 100 2 >"$scratch/out" &
client=$!
until_true grep -q '%' "$scratch/out"
kill -9 "${pids[0]}"
wait "$client"
grep -q 'pi is about 3.1' "$scratch/out"
tail -n 3 "$scratch/out"

# Arguments of different lengths are refused, and the error has both lengths.
! "$ferry" call pi.Pi.squares '[1, 2]' '[1]' 2>"$scratch/error"
grep -q pi.NotPairs "$scratch/error"
echo passed
