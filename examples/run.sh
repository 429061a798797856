#!/usr/bin/env bash
# Runs examples from nothing to nothing: starts a broker and the servers on a socket of their own,
# runs the client, shows what it prints, stops all it has started.
#
#     examples/run.sh BUILD NAME      one of them
#     examples/run.sh BUILD --all     all of them: a line each, then a table
# QUICK=1 leaves out what takes long: for the tests.
set -euo pipefail
quick=${QUICK:-}

# In the order of the course.
all_examples="framing
lucky rollcall sixteen
caps
zen
chat pi
arith"
all_examples=$(echo $all_examples)
usage="usage: ./dev example NAME|--all   (NAME: ${all_examples// /, })"
[ $# -eq 2 ] || { echo "$usage" >&2; exit 2; }
build=$(realpath "$1")
name=$2
self=$(realpath "$0")

# ---- all of them ----

run_all() {
    local log results=() failed=0 n=0 total
    total=$(wc -w <<<"$all_examples")
    log=$(mktemp)
    for example in $all_examples; do
        local started status=ok
        started=$(date +%s%N)
        n=$((n + 1))
        printf '[%d/%d] %-9s' "$n" "$total" "$example"
        "$self" "$build" "$example" >"$log" 2>&1 || status=FAILED
        local ms=$((($(date +%s%N) - started) / 1000000))
        printf ' %-6s %3d.%d s\n' "$status" $((ms / 1000)) $((ms % 1000 / 100))
        [ "$status" = ok ] || { failed=$((failed + 1)); sed 's/^/    /' "$log" >&2; }
        results+=("$(printf '%-9s  %-6s  %s' "$example" "$status" "$(grep -v '^\$' "$log" | tail -1 | sed 's/^ *//')")")
    done
    rm -f "$log"
    printf '\n%-9s  %-6s  %s\n' example result "last line"
    printf '%s\n' "${results[@]}"
    printf '\n%d of %d passed\n' $((total - failed)) "$total"
    [ "$failed" -eq 0 ]
}

# ---- one ----

scratch=
pids=()

# What was started last is stopped first: servers leave before their broker does.
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

# until_true COMMAND...: at most ten seconds.
until_true() {
    for _ in $(seq 200); do
        "$@" >/dev/null 2>&1 && return 0
        sleep 0.05
    done
    echo "this did not come true within 10 s: $*" >&2
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

peak() { awk '/VmHWM/ { printf "%.1f MiB", $2 / 1024 }' "/proc/$1/status"; }

serve() {
    start "$build/examples/$1-server"
    until_true is_served "$1."
}

run_lucky() {
    serve lucky
    client lucky-client
    client ferry call lucky.Lucky.lose 1
    [ -z "$quick" ] || { client lucky-client 20 0.3 1; return; }
    client lucky-client || echo "(exit status $?)"
    client lucky-client 1000 0.7 1
}

run_rollcall() {
    for member in anna bert clara; do
        ROLLCALL_NAME=$member start "$build/examples/rollcall-server"
    done
    until_true is_served 'rollcall.Rollcall[[:space:]]*3'
    client rollcall-client 300
}

run_sixteen() {
    serve sixteen
    client sixteen-client
}

run_caps() {
    serve caps
    client caps-client 100
    echo "broker: at most $(peak "$broker"), worker: at most $(peak "$started")"
    client caps-client 100 $((quick ? 1 : 5))
    echo "broker: at most $(peak "$broker"), worker: at most $(peak "$started")"
}

run_framing() {
    serve framing
    client framing-client
}

run_zen() {
    local each=1
    [ -z "$quick" ] || each=0.1
    serve zen
    client zen-client
    kill "$started" && wait "$started"
    echo "calls per second, 64 callers at a time"
    echo "the answer takes     no time  5 ms wait  200 µs CPU"
    for model in single threads processes async; do
        start "$build/examples/zen-server" --model "$model"
        until_true is_served zen.
        [ "$model" != processes ] && [ "$model" != threads ] ||
            until_true is_served 'zen.Zen[[:space:]]*8'
        printf '%-16s' "$model"
        "$build/examples/zen-client" --rate "$each"
        kill "$started" && wait "$started"
    done
}

run_chat() {
    serve chat
    mkfifo "$scratch/alice" "$scratch/bob"
    "$build/examples/chat-client" den alice <"$scratch/alice" >"$scratch/alice.out" &
    local alice=$!
    exec 7>"$scratch/alice"
    until_true grep -q 'alice came' "$scratch/alice.out"
    echo "Hello?" >&7
    "$build/examples/chat-client" den bob <"$scratch/bob" >/dev/null &
    local bob=$!
    exec 8>"$scratch/bob"
    until_true grep -q 'bob came' "$scratch/alice.out"
    echo "I am here." >&8
    until_true grep -q 'I am here' "$scratch/alice.out"
    { kill -9 "$bob" && wait "$bob"; } 2>/dev/null || true
    until_true grep -q 'bob vanished' "$scratch/alice.out"
    echo '$ echo "What was said?" | chat-client den carol'
    { echo "What was said?"; sleep 0.3; } | "$build/examples/chat-client" den carol
    exec 7>&- 8>&-
    wait "$alice"
    echo "Alice saw:"
    sed 's/^/    /' "$scratch/alice.out"
}

run_pi() {
    serve pi
    start "$build/examples/pi-worker" first
    until_true is_in_log "first is ready"
    echo '$ pi-client 100'
    "$build/examples/pi-client" 100 >"$scratch/pi.out" &
    local client=$!
    until_true grep -q '%' "$scratch/pi.out"
    start "$build/examples/pi-worker" second
    wait "$client"
    cat "$scratch/pi.out"
}

run_arith() {
    serve arith
    client ferry describe arith.Arith
    client ferry call arith.Arith.add 2 3
    client arith-client
}

[ "$name" = --all ] && { run_all; exit; }
[[ " $all_examples " == *" $name "* ]] || { echo "$usage" >&2; exit 2; }
scratch=$(mktemp -d)
trap stop_all EXIT
trap 'exit 130' INT TERM
export FERRY_URL=ipc://$scratch/ferry
start "$build/ferry" broker --bind "$FERRY_URL" --log-level warning
broker=$started
until_true "$build/ferry" ping
"run_$name"
