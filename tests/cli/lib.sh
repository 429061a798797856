# SPDX-License-Identifier: Apache-2.0
# For the end-to-end tests of the command line: starts a broker for the test, and defines functions
# to check results. Usage, in a script: source "$(dirname "$0")/lib.sh" FERRY

set -uo pipefail
ferry_binary=$(readlink -f "$1")
work=$(mktemp -d)
export FERRY_URL="ipc://$work/broker" NO_COLOR=1
started=()
n_checks=0 n_failed=0

ferry() { timeout -k 5 120 "$ferry_binary" "$@"; }

# Starts `ferry ARGUMENTS` and leaves it running; $started_pid is its process.
start() {
    "$ferry_binary" "$@" &
    started_pid=$!
    started+=("$started_pid")
}

finish() {
    local i
    for ((i = ${#started[@]} - 1; i >= 0; i--)); do kill "${started[i]}" 2>/dev/null; done
    wait 2>/dev/null
    rm -rf "$work"
}
trap finish EXIT

until_true() { # COMMAND...: two minutes, which only a hang exceeds
    local _
    for _ in $(seq 2400); do
        "$@" >"$work/until" 2>&1 && return
        sleep 0.05
    done
    failed "never came true: $*" "$work/until"
    return 1
}

start_broker() {
    start broker --bind "$FERRY_URL" --log-level warning
    until_true ferry ping
}

failed() { # TEXT [FILE...]
    n_failed=$((n_failed + 1))
    echo "FAILED: $1 (line ${BASH_LINENO[-2]})"
    shift
    [ $# -eq 0 ] || sed 's/^/    /' "$@"
}

# expect STATUS OUTPUT ERRORS COMMAND...: STATUS may be * for any; OUTPUT is all of standard output (newline at the end not
# counted), or * for any; ERRORS is a pattern that standard error must match, or empty for any.
expect() {
    local status=$1 output=$2 errors=$3 got
    shift 3
    n_checks=$((n_checks + 1))
    "$@" >"$work/out" 2>"$work/err"
    got=$?
    [ "$status" = '*' ] || [ "$got" -eq "$status" ] || failed "status $got, not $status: $*" "$work/out" "$work/err"
    [ "$output" = '*' ] || [ "$(cat "$work/out")" = "$output" ] ||
        failed "output of $*, wanted: $output" "$work/out"
    [ -z "$errors" ] || grep -q -e "$errors" "$work/err" ||
        failed "errors of $*, wanted: $errors" "$work/err"
}

# equal WANTED GOT WHAT
equal() {
    n_checks=$((n_checks + 1))
    [ "$1" = "$2" ] || failed "$3: '$2', not '$1'"
}

status_of() { # PID: its exit status, waited for at most two minutes
    local _
    for _ in $(seq 2400); do
        kill -0 "$1" 2>/dev/null || break
        sleep 0.05
    done
    wait "$1"
}

done_testing() {
    echo "$n_checks checks, $n_failed failed"
    exit $((n_failed > 0))
}

# runs PID: the process runs. An orphan that has ended may stay a zombie for a while, which kill -0 finds.
runs() { kill -0 "$1" 2>/dev/null && ! grep -q '^State:[[:space:]]*Z' "/proc/$1/status" 2>/dev/null; }
