# SPDX-License-Identifier: Apache-2.0
# What ./dev example pi runs: see examples/run.sh.
serve pi
start "$build/examples/pi-worker" first
until_true is_in_log "first is ready"
echo '$ pi-client 100'
"$build/examples/pi-client" 100 >"$scratch/pi.out" &
client=$!
until_true grep -q '%' "$scratch/pi.out"
start "$build/examples/pi-worker" second
wait "$client"
cat "$scratch/pi.out"
