#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Text that comes from others: it does not control the terminal, and it does not pass for other text.
# Passwords appear nowhere.
source "$(dirname "$0")/lib.sh" "$1"
start_broker
title=$(printf '\033]0;title\007') c1=$(printf '\302\2330m') back=$(printf '\342\200\256')
harmless() { # WHAT: the outputs of the last command hold no control of a terminal
    n_checks=$((n_checks + 1))
    ! LC_ALL=C grep -q -e "$(printf '\033')" -e "$(printf '\302\233')" -e "$back" "$work/out" "$work/err" ||
        failed "$1 prints what it was sent" "$work/out" "$work/err"
}

# An error, in each form
start serve hostile.Service.fail --fail "hostile.Error:$title $c1 $back"
until_true ferry ping hostile.Service
expect 7 '' '\\x1b\]0;title\\x07 \\xc2\\x9b0m \\xe2\\x80\\xae' ferry call hostile.Service.fail
harmless 'an error'
expect 7 '' '\\u001b\]0;title' ferry call hostile.Service.fail --json
harmless 'an error in JSON'
expect 0 '*' '' ferry stats hostile.Service
harmless 'the last error'

# A result, the standard error of a command, the name of a program
start serve hostile.Echo.echo --exec "printf '%s' '$title $back' >&2; exit 3" 2>"$work/log"
until_true ferry ping hostile.Echo
expect 7 '' 'x1b\]0;title' ferry call hostile.Echo.echo
harmless 'a reason'
cp "$work/log" "$work/out"
harmless 'the log of a server'
start sub "bidi.$back.x"
until_true bash -c "'$ferry_binary' topics | grep -q bidi"
expect 0 '*' '' ferry topics
harmless 'a pattern'
expect 0 '*' '' ferry topics --json
harmless 'a pattern in JSON'
expect 0 '*' '' ferry push "queue.$back" x
expect 0 '*' '' ferry queue show "queue.$back"
harmless 'the fields of a queue'

# Messages quote mistyped words
expect 2 '' 'x1b\]0;title' ferry call "$title"
harmless 'a method name'
expect 2 '' '' ferry "$title"
harmless 'a command name'
expect 2 '' '' ferry ping "--$title"
harmless 'an option'

# Passwords
secret=Pa55word
for url in "tcp://me:$secret@127.0.0.1:1" "tcp://me:$secret" "redis://:$secret@127.0.0.1"; do
    expect 2 '' 'is not the URL of a broker' ferry ping --url "$url"
    ! grep -q "$secret" "$work/out" "$work/err" || failed "ping --url $url prints the password" "$work/err"
    expect 2 '*' '' ferry broker --bind "$url"
    ! grep -q "$secret" "$work/out" "$work/err" || failed "broker --bind $url prints the password" "$work/err"
    n_checks=$((n_checks + 2))
done
if ferry help cache >/dev/null 2>&1; then
    for url in "redis://me:$secret" "redis://:$secret@127.0.0.1:1" "redis+unix://me:$secret@nowhere" \
        "rediss://me:$secret@host"; do
        FERRY_CACHE=$url expect '*' '' '' ferry cache get x
        ! grep -q "$secret" "$work/out" "$work/err" || failed "cache at $url prints the password" "$work/err"
        n_checks=$((n_checks + 1))
    done
fi
done_testing
