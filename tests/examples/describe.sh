#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# All examples in one server, each described as a page that compiles again:
# describe.sh FERRY EXAMPLES IDL NAME...
set -euo pipefail
ferry=$1 examples=$2 idl=$3
shift 3
scratch=$(mktemp -d)
pids=()
trap 'for pid in "${pids[@]}"; do kill "$pid"; wait "$pid" || true; done; rm -rf "$scratch"' EXIT
export FERRY_URL=ipc://$scratch/ferry
until_true() { for _ in $(seq 2400); do "$@" >/dev/null 2>&1 && return; sleep 0.05; done; echo "not in time: $*"; return 1; }

"$ferry" broker --bind "$FERRY_URL" --log-level warning &
pids=($!)
until_true "$ferry" ping
"$examples/ferry-examples" >"$scratch/log" &
pids=($! "${pids[@]}")
until_true grep -q "${!#} is served" "$scratch/log"

for name in "$@"; do
    service=$name.${name^}
    "$ferry" describe --idl "$service" >"$scratch/page.thrift"
    grep -q "^service ${service#*.} {" "$scratch/page.thrift"
    grep -q '/\*\*' "$scratch/page.thrift"
    "$idl" -o "$scratch" "$scratch/page.thrift"
    "$ferry" describe "$service" >"$scratch/page"
    grep -q "^service ${service#*.} {" "$scratch/page"
done

# A method without a result, a method with a result, and arguments that are refused.
[ "$("$ferry" call lucky.Lucky.lose 0)" = null ]
[ "$("$ferry" call arith.Arith.add 2 3)" = 5 ]
status=0
"$ferry" call lucky.Lucky.lose 2 2>"$scratch/error" || status=$?
[ "$status" -ne 0 ] && grep -q lucky.BadShare "$scratch/error"

# A name that is not the name of an example is refused before any program is started.
status=0
"$examples/ferry-examples" nobody 2>/dev/null || status=$?
[ "$status" -eq 2 ]
echo passed
