#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A project outside the source tree, with the installed files: the guide's three programs, built
# with Meson and with make as docs/idl.md says, word for word, and run. test-outside.sh
# SOURCE-FOLDER BUILD-FOLDER
source=$1
stage=$(mktemp -d)
source "$(dirname "$0")/installed.sh" "$2" "$stage"
source "$(dirname "$0")/lib.sh" "$prefix/bin/ferry"
trap 'finish; rm -rf "$stage"' EXIT

# ---- two projects ----
block() { # LINE: the first block of docs/idl.md behind that line
    awk -v line="$1" '$0 == line { on = 1 } on && /^```/ { if (inside) exit; inside = 1; next }
        inside' "$source/docs/idl.md"
}
guide=$source/tests/headers/guide
mkdir "$work/meson" "$work/make"
cp "$guide"/{calc.thrift,server.c} "$work/meson"
cp "$guide/caller.c" "$work/meson/client.c"
cp "$guide/calc.thrift" "$guide/stage.c" "$work/make"
cp "$guide/server.c" "$work/make/server.c"
cp "$guide/caller.c" "$work/make/client.c"

(echo "project('outside', 'c', default_options: ['c_std=c11', 'warning_level=3', 'werror=true'])"
    block 'With Meson:') >"$work/meson/meson.build"
expect 0 '*' '' meson setup "$work/meson/build" "$work/meson"
expect 0 '*' '' ninja -C "$work/meson/build"
idle() { ninja -C "$work/meson/build" | grep -q 'no work to do'; }
expect 0 '' '' idle
sleep 1.1 # file times may have whole seconds
echo '// a comment' >>"$work/meson/calc.thrift"
expect 1 '' '' idle
expect 0 '' '' idle

block 'With make:' >"$work/make/Makefile"
echo 'stage: stage.o; $(CC) -o $@ $^ $(LDLIBS)' >>"$work/make/Makefile"
in_make() { make -s -C "$work/make" CFLAGS="-std=c11 -Wall -Wextra -Werror $(pkg-config --cflags ferry)" "$@"; }
expect 0 '' '' in_make server client stage
expect 0 '' '' in_make -q server client
sleep 1.1
echo '// a comment' >>"$work/make/calc.thrift"
expect 1 '*' '' in_make -q server
expect 0 '' '' in_make server client
expect 0 '' '' in_make -q server client
sleep 1.1
sed -i 's/^service/struct Unused { 1: i32 x }\nservice/' "$work/make/calc.thrift"
expect 1 '*' '' in_make -q server
expect 0 '' '' in_make server client
n_checks=$((n_checks + 1))
grep -q calc_unused "$work/make/calc.h" || failed 'a changed interface is not made again'

# ---- and run ----
start_broker
not_served() { ! ferry services calc.Calc; }
for folder in "$work/meson/build" "$work/make"; do
    "$folder/server" &
    server=$!
    started+=("$server")
    until_true ferry call calc.Calc.div 7 2
    expect 0 3 '' ferry call calc.Calc.div 7 2
    expect 1 '1 / 0?' '' timeout 120 "$folder/client"
    kill "$server"
    wait "$server" 2>/dev/null
    until_true not_served
done
"$work/make/stage" &
started+=($!)
expect 0 '*' '' ferry push words 'hello, world'
expect 0 'HELLO, WORLD' '' ferry work loud --count 1
done_testing
