#!/usr/bin/env bash
# The main job of ferry on real input, from nothing to nothing: demo.sh BUILD-FOLDER
set -euo pipefail
build=$(cd "$1" && pwd)
export PATH="$build:$PATH"
work=$(mktemp -d)
export FERRY_URL="ipc://$work/broker"
started=()

stop() {
    # In reverse: workers before the broker. Each by the process id that was started here.
    for ((i = ${#started[@]} - 1; i >= 0; i--)); do kill "${started[i]}" 2>/dev/null || true; done
    wait 2>/dev/null || true
    rm -rf "$work"
}
trap stop EXIT
start() {
    "$@" &
    started+=($!)
}
title() { printf '\n\033[1m== %s\033[0m\n' "$*"; }
show() {
    printf '\033[2m$ %s\033[0m\n' "$*"
    "$@"
}
until_true() { for _ in $(seq 200); do "$@" >/dev/null 2>&1 && return; sleep 0.05; done; return 1; }

title "A broker with its embedded defaults"
printf '\033[2m$ ferry broker --bind %s\033[0m\n' "$FERRY_URL"
start ferry broker --bind "$FERRY_URL" --log-level warning
until_true ferry ping --quiet
show ferry ping

title "A remote call: words.count is a shell command, served by name"
start ferry serve words.count --exec 'wc -w' --quiet
start ferry serve shop.order --fail shop.OutOfStock:'no teapots left today' --quiet
until_true ferry call words.count '""'
until_true sh -c 'ferry services | grep -q shop'
show ferry call words.count '"the quick brown fox jumps over the lazy dog"'

title "A remote error arrives as what it is"
show ferry call shop.order '"teapot"' || true
show ferry call wrods.count '""' || true

title "A service from an interface file, and an exception with its fields"
start "$build/examples/ferry-examples" arith
until_true sh -c 'ferry services | grep -q arith'
show ferry call arith.Arith.quadratic 1 -3 2
show ferry call arith.Arith.quadratic 1 0 1 || true

title "A topic with two subscribers"
ferry sub 'orders.*' --count 3 --quiet >"$work/one" & first=$!
ferry sub 'orders.new' --count 2 --quiet >"$work/two" & second=$!
started+=("$first" "$second")
until_true sh -c 'ferry topics --json | grep -c "orders" | grep -q 2'
show ferry pub orders.new '{"id": 1}'
show ferry pub orders.new '{"id": 2}'
show ferry pub orders.paid '{"id": 1}'
wait "$first" "$second"
echo "the first, orders.*, got:"; sed 's/^/  /' "$work/one"
echo "the second, orders.new, got:"; sed 's/^/  /' "$work/two"

title "A pipeline of shell commands over a folder of files: compress, checksum, collect"
mkdir "$work/in" "$work/out"
cp "$(dirname "$0")"/../../rpc/wire/*.[ch] "$work/in"
echo "ferry work compress --exec 'gzip -9 < \$(cat)' --then checksum --slots 2"
start ferry work compress --slots 2 --quiet --then checksum --exec 'read -r f; gzip -9 <"$f" >"$f.gz"; echo "$f.gz"'
echo "ferry work checksum --exec 'sha256sum'        --then collect"
start ferry work checksum --quiet --then collect --exec 'read -r f; sha256sum "$f"'
echo "ferry work collect  --exec 'move and report'"
start ferry work collect --quiet --exec "read -r sum f; mv \"\$f\" '$work/out/'; echo \"\$sum \$(basename \"\$f\")\" >>'$work/out/SUMS'"
n=$(ls "$work/in" | wc -l)
ls -d "$work"/in/* | show ferry push compress -
until_true sh -c "[ \$(cat '$work/out/SUMS' | wc -l) -eq $n ]"
(cd "$work/out" && sha256sum --quiet -c SUMS && echo "$n files compressed, checked and collected")
show ferry queue list

title "A cache, here in the process: the same commands and calls reach Redis"
show ferry cache bench --cache memory:// --count 200000 --quiet

title "What the broker saw"
show ferry stats
