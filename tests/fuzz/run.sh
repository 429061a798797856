#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs the fuzzers of a build with -Dfuzz=enabled: tests/fuzz/run.sh BUILD [SECONDS [NAME...]]
# New inputs are kept in BUILD/corpus/NAME, and the next run starts with them. An input that makes a
# target fail is kept as BUILD/corpus/NAME-crash-..., and the exit status is 1: mend the fault, and
# put the input into tests/data/fuzz-NAME, whose files each test run replays.
set -eu
build=$1 seconds=${2:-60}
tests=$(cd "$(dirname "$0")/.." && pwd)
shift; [ $# -eq 0 ] || shift
[ $# -gt 0 ] || set -- $(cd "$tests/fuzz" && ls fuzz-*.c | sed 's/^fuzz-//; s/\.c$//')
status=0
for name; do
    find=$build/tests/fuzz/find-$name found=$build/corpus/$name
    if [ ! -x "$find" ]; then
        echo "$name: not built" >&2
        continue
    fi
    mkdir -p "$found"
    set -- "$found" "$tests/data/fuzz-$name"
    # Interface files are seeds already.
    [ "$name" != idl ] || set -- "$@" "$tests/data/idl"
    [ ! -f "$tests/fuzz/$name.dict" ] || set -- "-dict=$tests/fuzz/$name.dict" "$@"
    echo "$name: $seconds s" >&2
    if ! "$find" -max_total_time="$seconds" -timeout=100 -rss_limit_mb=2048 -max_len=8192 \
        -artifact_prefix="$found-" -print_final_stats=1 "$@" >"$found.log" 2>&1; then
        tail -40 "$found.log" >&2
        echo "$name: failed; see $found.log" >&2
        status=1
        continue
    fi
    grep -E '^stat::number_of_executed_units|^stat::new_units' "$found.log" >&2
done
exit $status
