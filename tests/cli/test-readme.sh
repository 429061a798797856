#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The README's "Your first service", word for word: test-readme.sh SOURCE-FOLDER BUILD-FOLDER
set -euo pipefail
source=$1 build=$2
work=$(mktemp -d)
stop() {
    [ ! -f "$work/pids" ] || xargs -r kill <"$work/pids" 2>/dev/null || true
    rm -rf "$work"
}
trap stop EXIT

source "$(dirname "$0")/installed.sh" "$build" "$work/root"
export FERRY_URL="ipc://$work/broker"

# Each block is written to the file that the line before it names; the block of commands is run.
mkdir "$work/empty" && cd "$work/empty"
awk -v source="$source/README.md" '
    /^## / { on = $0 == "## Your first service" }
    on && match($0, /as `[^`]+`:/) { name = substr($0, RSTART + 4, RLENGTH - 6) }
    on && /^and run:/ { name = "commands.sh" }
    on && /^The last two lines/ { name = "expected" }
    on && /^```/ { inside = !inside; if (!inside) name = ""; next }
    on && inside && name { print > name }' "$source/README.md"
[ "$(grep -cv '^ *$' server.c)" -lt 30 ] && [ "$(grep -cv '^ *$' calc.thrift)" -le 10 ]

# On a busy machine half a second may be too short: the first pause is for the broker, the next one for the server.
(
    cat <<'END'
began() { if [ "$n_pauses" -eq 1 ]; then ferry ping; else ferry services calc.Calc; fi >/dev/null 2>&1; }
sleep() { : $((n_pauses += 1)); until began; do command sleep 0.05; done; }
END
    cat commands.sh
    echo 'jobs -p >"'"$work"'/pids"'
) >run.sh
bash run.sh >got 2>&1 || true
sed -i 's, on [^ ]*/[0-9]*$, on HOST/PID,' got
diff expected got
echo "the README's first service: ok"
