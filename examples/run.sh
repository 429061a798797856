#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs examples: starts a broker and the servers on a socket of their own, runs the client, shows its output,
# and stops all programs that it has started.
#
#     examples/run.sh BUILD NAME      one of them
#     examples/run.sh BUILD --all     all of them: a line each, then a table
#
# An example with a run.sh of its own starts its programs there. Of all others the server and the client run.
# Exit status 77: the example was not built, because a library is missing.
# The tests set QUICK=1, which leaves out the slow parts.
set -euo pipefail
quick=${QUICK:-}

# In the order of the course.
course="bytes endian json zlib framing serial
names probe dns
lucky rollcall sockets sixteen
caps halfopen filestream
faults
tls
urls webget website
zen
squares chat pi
arith
shell
capture"
here=$(dirname "$(realpath "$0")")
all_examples=
for example in $course; do
    [ ! -d "$here/$example" ] || all_examples+="${all_examples:+ }$example"
done
usage="usage: ./dev example NAME|--all   (NAME: ${all_examples// /, })"
[ $# -eq 2 ] || { echo "$usage" >&2; exit 2; }
build=$(realpath "$1")
name=$2
self=$(realpath "$0")

# ---- all of them ----

run_all() {
    local log results=() failed=0 skipped=0 n=0 total
    total=$(wc -w <<<"$all_examples")
    log=$(mktemp)
    for example in $all_examples; do
        local started status=ok code=0
        started=$(date +%s%N)
        n=$((n + 1))
        printf '[%d/%d] %-10s' "$n" "$total" "$example"
        "$self" "$build" "$example" >"$log" 2>&1 || code=$?
        case $code in
        0) ;;
        77) status=skipped skipped=$((skipped + 1)) ;;
        *) status=FAILED failed=$((failed + 1)) ;;
        esac
        local ms=$((($(date +%s%N) - started) / 1000000))
        printf ' %-7s %3d.%d s\n' "$status" $((ms / 1000)) $((ms % 1000 / 100))
        [ "$status" = ok ] || sed 's/^/    /' "$log" >&2
        results+=("$(printf '%-10s  %-7s  %s' "$example" "$status" "$(grep -v '^\$' "$log" | tail -1 | sed 's/^ *//')")")
    done
    rm -f "$log"
    printf '\n%-10s  %-7s  %s\n' example result "last line"
    printf '%s\n' "${results[@]}"
    printf '\n%d of %d passed' $((total - failed - skipped)) "$total"
    [ "$skipped" -eq 0 ] || printf ', %d skipped' "$skipped"
    echo
    [ "$failed" -eq 0 ]
}

# ---- one: NAME/run.sh uses these functions ----

scratch=
pids=()

# Stops the programs in reverse order: servers end before their broker.
stop_all() {
    for ((i = ${#pids[@]} - 1; i >= 0; i--)); do
        kill "${pids[i]}" 2>/dev/null || true
        wait "${pids[i]}" 2>/dev/null || true
    done
    pids=()
    [ -z "$scratch" ] || rm -rf "$scratch"
}

# start PROGRAM [ARGUMENT...]: in the background; its pid in $started.
start() {
    "$@" >>"$scratch/log" 2>&1 &
    started=$!
    pids+=("$started")
}

# until_true COMMAND...: at most two minutes, which only a hang exceeds.
until_true() {
    for _ in $(seq 2400); do
        "$@" >/dev/null 2>&1 && return 0
        sleep 0.05
    done
    echo "this did not come true within two minutes: $*" >&2
    cat "$scratch/log" >&2
    return 1
}

is_served() { "$build/ferry" services | grep -q "^$1"; }
is_in_log() { grep -q "$1" "$scratch/log"; }

# client PROGRAM [ARGUMENT...]: shows the command, then runs it.
client() {
    printf '$ %s\n' "$*"
    PATH="$build/examples:$build:$PATH" "$@"
}

# free_port: a TCP port of loopback that no process uses now, below the ports that the kernel gives to clients.
free_port() {
    python3 -c '
import random, socket
while True:
    port = random.randrange(12000, 21000)
    with socket.socket() as s:
        if s.connect_ex(("127.0.0.1", port)):
            print(port)
            break'
}

peak() { awk '/VmHWM/ { printf "%.1f MiB", $2 / 1024 }' "/proc/$1/status"; }

# serve NAME: starts its server and waits until the broker lists the service.
serve() {
    start "$build/examples/$1-server"
    until_true is_served "$1."
}

[ "$name" = --all ] && { run_all; exit; }
[[ " $all_examples " == *" $name "* ]] || { echo "$usage" >&2; exit 2; }
if [ ! -x "$build/examples/$name-client" ]; then
    echo "the example $name was not built: $(sed -n "s/^ *'$name': .*# /it needs /p" "$here/meson.build")" >&2
    exit 77
fi
scratch=$(mktemp -d)
trap stop_all EXIT
trap 'exit 130' INT TERM
export FERRY_URL=ipc://$scratch/ferry
start "$build/ferry" broker --bind "$FERRY_URL" --log-level warning
broker=$started
until_true "$build/ferry" ping
if [ -f "$here/$name/run.sh" ]; then
    . "$here/$name/run.sh"
else
    serve "$name"
    client "$name-client"
fi
