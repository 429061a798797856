#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Output on a terminal: tables, colours, units, progress; with a terminal of script(1).
source "$(dirname "$0")/lib.sh" "$1"
command -v script >/dev/null || exit 77
start_broker
unset NO_COLOR
export TERM=xterm
escape=$(printf '\033')

# on_terminal COMMAND: what it writes there, standard error included, without the carriage returns
on_terminal() { timeout -k 5 120 script -qec "$*" /dev/null </dev/null 2>&1 | tr -d '\r'; }
shows() { # PATTERN COMMAND
    n_checks=$((n_checks + 1))
    on_terminal "$2" >"$work/out"
    grep -q -e "$1" "$work/out" || failed "$2 shows $1" "$work/out"
}
hides() { # PATTERN COMMAND
    n_checks=$((n_checks + 1))
    on_terminal "$2" >"$work/out"
    ! grep -q -e "$1" "$work/out" || failed "$2 hides $1" "$work/out"
}
ferry=$ferry_binary

shows '^none$' "$ferry services"
shows "^$escape\[1mQUEUE" "$ferry bench push --count 10 --quiet; $ferry queue"
shows ' 0 B ' "$ferry queue"
hides "$escape" "NO_COLOR=1 $ferry queue"
hides "$escape" "TERM=dumb $ferry queue"
shows '^max_bytes  *256 MiB$' "$ferry queue show ferry-bench.queue"
shows '^retry  *1.0 s$' "$ferry queue show ferry-bench.queue"
shows '^uptime  *[0-9.]* m\?\(s\|in\)' "$ferry stats"
shows ' ms$' "$ferry ping"
expect 0 '' '' ferry queue pause ferry-bench.queue -q
shows "$escape\[33mpaused" "$ferry queue"
hides "$escape\[33m" "$ferry services ferry.Broker 2>/dev/null; $ferry topics"
shows "^${escape}\[31mferry call:$escape\[0m ferry.NoSuchService" "$ferry call no.body"
shows 'listening at' "$ferry sub x --timeout 100ms"
hides 'listening at' "$ferry sub x --timeout 100ms -q"

# JSON for people is indented; the JSON of call --json is not
start serve demo.Echo.say --echo
until_true ferry ping demo.Echo
shows "^  $escape\[34m\"a\"$escape\[0m: " "$ferry call demo.Echo.say '{\"a\": 1}'"
shows "^{$escape\[34m\"a\"" "$ferry call demo.Echo.say '{\"a\": 1}' --json"

# Text from others cannot control the terminal
printf 'a\033[2Jb\377' | ferry push hostile - || failed 'pushing'
shows '^a\\x1b\[2Jb\\xff$' "$ferry work hostile --count 1 -q"
printf 'gr\303\274n\ttab' | ferry push harmless - || failed 'pushing'
shows "^$(printf 'gr\303\274n\ttab')$" "$ferry work harmless --count 1 -q"

# A table fits
narrow() { timeout -k 5 120 script -qec "stty cols $1; $2" /dev/null </dev/null 2>&1 | tr -d '\r' >"$work/out"; }
expect 0 '*' '' ferry push a.queue.whose.name.is.longer.than.the.terminal x
for width in 80 40 20; do
    for list in queue sessions services topics 'queue peek hostile'; do
        narrow $width "NO_COLOR=1 $ferry $list --quiet"
        n_checks=$((n_checks + 1))
        [ "$(LC_ALL=C.UTF-8 wc -L <"$work/out")" -le $width ] || failed "$list fits $width columns" "$work/out"
    done
done
narrow 40 "$ferry queue"
grep -q 'columns left out.*--json shows all' "$work/out" || failed 'columns that are left out are told' "$work/out"

# Receivers, topics and times, for people
start sub 'told.*'
until_true bash -c "'$ferry_binary' topics | grep -q -F 'told.*'"
shows '1 subscriber$' "$ferry pub told.one x"
shows "no subscriber listens to 'untold'" "$ferry pub untold x"
expect 0 '' '' ferry pub told.kept 42 --retain
shows '^[0-9:]*\.[0-9]*	told.kept	42$' "$ferry sub 'told.>' --count 1 --time -q"

# A purge asks for confirmation
expect 0 '*' '' ferry push asked x
n_checks=$((n_checks + 1))
printf 'n\n' | timeout -k 5 120 script -qec "$ferry queue purge asked" /dev/null >"$work/out"
grep -q 'delete all jobs' "$work/out" || failed 'a purge asks' "$work/out"
equal 1 "$(ferry queue peek asked | wc -l)" 'what was not agreed to'

# The counters of a pipeline are a table, drawn again in its place below the results
printf '[stage first]\ncommand = tr a-z A-Z\nnext = second\n\n[stage second]\ncommand = cat\n' >"$work/two.conf"
for width in 80 30; do
    seq 5 | sed 's/^/job/' | ferry push first - --quiet || failed 'pushing'
    narrow $width "$ferry pipeline run $work/two.conf --drain"
    n_checks=$((n_checks + 1))
    [ "$(grep -o 'JOB[1-5]' "$work/out" | sort | xargs)" = 'JOB1 JOB2 JOB3 JOB4 JOB5' ] || failed 'the results' "$work/out"
    grep -q "$escape\[3A" "$work/out" || failed 'the table is erased' "$work/out"
    # The last table: behind the last erasure
    sed "s/.*$escape\[J//" "$work/out" | tail -3 >"$work/table"
    [ "$(LC_ALL=C.UTF-8 wc -L <"$work/table")" -le $width ] || failed "the table fits $width columns" "$work/table"
    equal 'STAGE first second' "$(cut -d' ' -f1 "$work/table" | xargs)" 'the lines of the table'
    [ $width -lt 80 ] || equal '0 0 0 0 5 0 0' "$(awk '$1 == "second" {$1 = ""; print}' "$work/table" | xargs)" 'the counters'
done

# Progress is erased at the end
shows '%.*\[=*> *\].*left' "$ferry bench call --serve --in-flight 1 --count 3000"
hides '%.*\[=*> *\]' "$ferry bench call --serve --in-flight 1 --count 3000 -q"
hides '%.*\[=*> *\]' "$ferry bench call --serve --in-flight 1 --count 3000 2>/dev/null"
done_testing
