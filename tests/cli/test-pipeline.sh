#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A pipeline of three stages: each input has its output, also when workers are killed; the stages
# stop in order; errors of the file have their lines.
# The shell that runs the tests may ignore signals, and its children inherit that.
[ -n "${SIGNALS_ARE_RESET:-}" ] ||
    SIGNALS_ARE_RESET=1 exec env --default-signal=HUP,INT,PIPE,TERM bash "$0" "$@"
source "$(dirname "$0")/lib.sh" "$1"
field() { ferry queue show "$1" 2>/dev/null | awk -F'\t' -v k="$2" '$1 == k {print $2}'; }
wait_for() { # COMMAND...: only a pipeline that hangs takes two minutes
    local _
    for _ in $(seq 2400); do
        "$@" && return
        sleep 0.05
    done
    failed "never came true: $*" "$work/log"
}
has_outputs() { [ "$(sort -u "$work/results" | wc -l)" -ge "$1" ]; }
has_started() { [ "$(wc -l <"$1" 2>/dev/null || echo 0)" -ge "$2" ]; }

# The file
cat >"$work/bad.conf" <<'END'
[stage one]
comand = cat
next = two
[stage three]
workers = many
END
expect 2 '' "bad.conf:2: a stage has no setting 'comand'; did you mean 'command'" ferry pipeline run "$work/bad.conf" --check
equal 5 "$(wc -l <"$work/err")" 'all errors at once'
expect 2 '' "bad.conf:5: workers is a number from 1 to 256" ferry pipeline run "$work/bad.conf"
expect 1 '' 'cannot read' ferry pipeline run "$work/nowhere.conf"
expect 2 '' 'run needs a file' ferry pipeline run
expect 2 '' "'start' is not a verb" ferry pipeline start x

start_broker
start serve text.Text.upper --exec 'tr a-z A-Z'
until_true ferry describe text.Text

# Each worker of the first stage tells its process id, so that the test can kill one of them.
cat >"$work/three.conf" <<END
[stage first]
command = echo \$PPID >>'$work/pids'; read n; echo n\$n
workers = 2
slots = 2
next = second

[stage second]
queue = to.upper
call = text.Text.upper
workers = 2
retries = 3
next = third

[stage third]
command = read n; echo "done \$n"
workers = 2
END
expect 0 '' 'three.conf has no errors: 3 stages' ferry pipeline run "$work/three.conf" --check

# Ctrl-C with jobs in all queues, and a killed worker
n=200
seq "$n" | ferry push first - --quiet || failed 'pushing'
: >"$work/pids"
: >"$work/results"
"$ferry_binary" pipeline run "$work/three.conf" >>"$work/results" 2>"$work/log" &
pipeline=$!
started+=("$pipeline")
wait_for has_started "$work/pids" 20
killed=$(tail -1 "$work/pids")
kill -9 "$killed" || failed 'there is no worker to kill'
wait_for has_outputs "$n"
wait_for grep -q "first: .*restarts=1$" "$work/log"
kill -INT "$pipeline"
wait "$pipeline"
equal 0 $? 'a pipeline that has drained'
equal "$(seq "$n" | sed 's/^/done N/' | sort)" "$(sort -u "$work/results")" 'each input has its output'
# The killed worker had two slots: at most two jobs were done twice.
[ "$(wc -l <"$work/results")" -le $((n + 2)) ] || failed 'duplicates without a reason'
grep -q "a worker of the stage 'first' was killed by signal 9 .*; it is started again in" "$work/log" || failed 'the note' "$work/log"
grep -q "third: .* done=$(wc -l <"$work/results") " "$work/log" || failed 'the counter at the end' "$work/log"
for queue in first to.upper third; do
    equal '0 0' "$(field $queue ready) $(field $queue held)" "$queue is empty"
done
! runs "$killed" || failed 'the killed worker'

# Ctrl-C while jobs wait: the first stage keeps its jobs, the other stages finish theirs
seq 50 | ferry push first - --quiet || failed 'pushing'
: >"$work/pids"
: >"$work/results"
"$ferry_binary" pipeline run "$work/three.conf" >>"$work/results" 2>"$work/log" &
pipeline=$!
started+=("$pipeline")
wait_for has_started "$work/pids" 5
kill -INT "$pipeline"
wait "$pipeline"
equal 0 $? 'a pipeline that is interrupted'
equal 50 $(($(sort -u "$work/results" | wc -l) + $(field first ready))) 'jobs done, and kept in the first queue'
equal '0 0' "$(field to.upper ready) $(field third ready)" 'the later queues are empty'

# The rest, with --drain: it ends by itself
expect 0 '*' 'draining\|done=' ferry pipeline run "$work/three.conf" --drain
cat "$work/out" >>"$work/results"
equal 50 "$(sort -u "$work/results" | wc -l)" 'all of them'

# A job that a service refuses is rejected after its retries; other jobs are not affected
start serve text.Picky.check --exec 'read n; test "$n" != bad || { echo "bad input" >&2; exit 1; }; echo "$n"'
until_true ferry describe text.Picky
printf '[stage picky]\ncall = text.Picky.check\n' >"$work/picky.conf"
printf 'good\nbad\nfine\n' | ferry push picky - --quiet
expect 0 '*' "job .* of 'picky'.*rejected: .*bad input" ferry pipeline run "$work/picky.conf" --drain
equal 'fine good' "$(sort "$work/out" | xargs)" 'the other jobs'
equal 1 "$(field picky dead)" 'the dead letter'

# A supervisor that is killed leaves no worker behind
printf '[stage slow]\ncommand = echo $PPID $$ >>%s; exec sleep 600\n' "'$work/slow'" >"$work/slow.conf"
ferry push slow x --quiet
start pipeline run "$work/slow.conf" --quiet
pipeline=$started_pid
wait_for has_started "$work/slow" 1
read -r worker command <"$work/slow"
kill -9 "$pipeline"
gone() { ! runs "$worker" && ! runs "$command"; }
wait_for gone

# Options of work --call
expect 2 '' 'cannot be used with --exec' ferry work x --call a.b --exec cat
expect 2 '' 'a method is SERVICE.METHOD' ferry work x --call a
done_testing
