#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The main job of ferry on real input, with a broker of its own: demo.sh BUILD-FOLDER
#
# The text behind a $ is run exactly as it is printed.
set -euo pipefail
sources=$(cd "$(dirname "$0")/../../rpc/wire" && pwd)
build=$(cd "$1" && pwd)
export PATH="$build:$build/examples:$build/tests/cache:$PATH"
work=$(mktemp -d)
export FERRY_URL="ipc://$work/broker"
cd "$work"
started=()

stop() {
    # Stops the processes in reverse order, workers before the broker, each by its process id.
    for ((i = ${#started[@]} - 1; i >= 0; i--)); do kill "${started[i]}" 2>/dev/null || true; done
    wait 2>/dev/null || true
    rm -rf "$work"
}
trap stop EXIT
trap 'exit 130' INT TERM

title() { printf '\n\033[1m== %s\033[0m\n' "$*"; }
tell() { printf '\033[2m$ %s\033[0m\n' "$*"; }
show() { # COMMAND-LINE
    tell "$1"
    eval "$1"
}
start() { # COMMAND-LINE: runs on in the background
    tell "$1 &"
    eval "exec $1" &
    started+=($!)
}
until_true() {
    for _ in $(seq 2400); do "$@" >/dev/null 2>&1 && return; sleep 0.05; done
    echo "this did not come true within two minutes: $*" >&2
    return 1
}
is_served() { ferry services "$1"; }

title "A broker with its embedded defaults"
start 'ferry broker --bind $FERRY_URL --log-level warning'
until_true ferry ping
show 'ferry ping'

title "A remote call: words.count is a shell command, served by name"
start "ferry serve words.count --exec 'wc -w' --quiet"
until_true is_served words
show "ferry call words.count '\"the quick brown fox jumps over the lazy dog\"'"

title "A remote error arrives as what it is"
start "ferry serve shop.order --fail shop.OutOfStock:'no teapots left today' --quiet"
until_true is_served shop
show "ferry call shop.order '\"teapot\"'" || true
show "ferry call wrods.count '\"teapot\"'" || true

title "A service from an interface file, and an exception with its fields"
start 'ferry-examples arith >served'
until_true is_served arith.Arith
show 'ferry describe arith.Arith | grep quadratic'
show 'ferry call arith.Arith.quadratic 1 -3 2'
show 'ferry call arith.Arith.quadratic 1 0 1' || true

title "A topic with two subscribers"
start "ferry sub 'orders.*' --count 3 --quiet >all"
start "ferry sub orders.new --count 2 --quiet >new"
subscribers=("${started[@]: -2}")
until_true sh -c 'ferry topics --json | grep -c orders | grep -q 2'
show "ferry pub orders.new '{\"id\": 1}'"
show "ferry pub orders.new '{\"id\": 2}'"
show "ferry pub orders.paid '{\"id\": 1}'"
wait "${subscribers[@]}"
show 'head all new'

title "A pipeline of shell commands over a folder of files: compress, checksum, collect"
mkdir in out
cp "$sources"/*.[ch] in
n=$(ls in | wc -l)
start "ferry work compress --exec 'read -r f; gzip -9 \"\$f\"; echo \"\$f.gz\"' --then checksum --slots 2 --quiet"
start "ferry work checksum --exec 'xargs sha256sum' --then collect --quiet"
start "ferry work collect --exec 'read -r sum f; mv \"\$f\" out; echo \"\$sum  out/\${f#in/}\"' --quiet >SUMS"
show 'ls in/* | ferry push compress -'
until_true sh -c "[ \$(wc -l <SUMS) -eq $n ]"
show 'sha256sum --quiet -c SUMS && echo "$(wc -l <SUMS) of '"$n"' files compressed, checked and collected"'
show 'ferry queue list'

title "Jobs on disk: a broker with 1000 of them is killed, and none is lost"
durable="ferry --url ipc://$work/durable"
start "ferry broker --bind ipc://$work/durable --data $work/jobs --log-level warning"
until_true $durable ping
show "seq 1000 | $durable push numbers -"
show "kill -9 ${started[-1]}"
show "ferry store stats $work/jobs"
start "ferry broker --bind ipc://$work/durable --data $work/jobs --log-level warning"
until_true $durable ping
show "$durable work numbers --drain | sort -n | uniq | wc -l"

title "A cache, here in the process: the same commands and calls reach Redis"
show 'ferry cache bench --cache memory:// --count 200000 --quiet'

title "A memoised method: (cache.ttl = \"30s\", cache.negative = \"30s\"), before and after"
show 'bench-memo --table "$FERRY_URL"'

if ferry web --help >/dev/null 2>&1; then
    title "The dashboard"
    start 'ferry web --listen 127.0.0.1:0 >address'
    until_true grep -q http address
    show 'cat address'
    if command -v chromium-headless-shell >/dev/null; then
        # As root the browser needs --no-sandbox. This is safe here: the page comes from this
        # machine.
        timeout 120 chromium-headless-shell --no-sandbox --disable-gpu --user-data-dir="$work/browser" --hide-scrollbars \
            --window-size=1280,1040 --virtual-time-budget=8000 --screenshot="$build/dashboard.png" \
            "$(tr -d '\n' <address)" >/dev/null 2>&1 || true
        [ ! -s "$build/dashboard.png" ] || echo "a picture of it: $build/dashboard.png"
    fi
fi

title "What the broker saw"
show 'ferry stats'
