#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The man page agrees with the command: test-man.sh FERRY PAGE.scd. No broker is needed.
page=$2
source "$(dirname "$0")/lib.sh" "$1"

commands=$(ferry --help | sed '/^Everywhere/,$d' | awk '/^  [a-z]/ {print $1}')
sed -n '/^# COMMANDS$/,/^# OPTIONS/p' "$page" | sed -E 's/[*_]//g; s/\\//g' >"$work/section"
[ "$(wc -w <<<"$commands")" -ge 19 ] || failed 'the commands are listed' "$work/section"

for command in $commands; do
    n_checks=$((n_checks + 1))
    # Its line, also among others: "ferry services|topics|sessions [NAME]".
    grep -E "^ferry ([a-z|]*\|)?$command(\||,| |$)" "$work/section" >"$work/lines" ||
        failed "there is no line for ferry $command"
    ferry help "$command" >"$work/help"
    for option in $(grep -oE -e '--[a-z-]+' "$work/lines" | sort -u); do
        grep -q -e "$option" "$work/help" || failed "ferry $command has no $option, the page says"
    done
    # Each part of the usage must occur in the page.
    for option in $(sed -n '/^usage:/,/^$/p' "$work/help" | grep -oE -e '--[a-z-]+' | sort -u); do
        grep -q -e "$option" "$work/section" || failed "the page does not tell of ferry $command $option"
    done
done

# The numbers of the exit statuses
for status in $(sed -n '/^# EXIT STATUS/,/^# ENV/p' "$page" | grep -oE '\*[0-9]+\*' | tr -d '*'); do
    n_checks=$((n_checks + 1))
    [ "$status" -ge 129 ] || ferry --help | tail -3 | grep -qE "(^|[ ,])$status [a-zC]" ||
        failed "ferry --help does not tell of exit status $status"
done
done_testing
