#!/usr/bin/env bash
# What ferry-idl needs is installed, and what a stranger's project makes of it: the guide's three programs,
# built with Meson and with make as docs/idl.md says, word for word, and run.
# test-outside.sh SOURCE-FOLDER BUILD-FOLDER
source=$1 build=$2
stage=$(mktemp -d)
meson install -C "$build" --no-rebuild --quiet --destdir "$stage" >/dev/null || exit 1
prefix=$(find "$stage" -path '*/bin/ferry' -printf '%h\n' | sed 's,/bin$,,')
library=$(dirname "$(find "$prefix" -name libferry.so.0)")
export LD_LIBRARY_PATH=$library PATH="$prefix/bin:$PATH"
source "$(dirname "$0")/lib.sh" "$prefix/bin/ferry"
trap 'finish; rm -rf "$stage"' EXIT

# ---- what is there ----
there() { n_checks=$((n_checks + 1)); [ -s "$prefix/$1" ] || failed "not installed: $1"; }
for file in bin/ferry bin/ferry-idl share/ferry/ferry-broker.thrift \
    include/ferry/{ferry,schema,cache,pack}.h include/ferry/adapters/{libuv,libev}.h \
    share/bash-completion/completions/{ferry,ferry-idl}; do
    there "$file"
done
if command -v scdoc >/dev/null; then
    there share/man/man1/ferry.1
    there share/man/man1/ferry-idl.1
fi
for file in "$prefix"/share/bash-completion/completions/*; do
    expect 0 '' '' bash -n "$file"
done
completions() { # WORD...: what bash offers behind `ferry-idl`
    bash -c 'source "$0"; COMP_WORDS=(ferry-idl "$@") COMP_CWORD=$#; _ferry_idl; echo "${COMPREPLY[@]}"' \
        "$prefix/share/bash-completion/completions/ferry-idl" "$@" 2>/dev/null
}
equal 'format' "$(completions form)" 'completion of commands'
equal '--check' "$(completions format --c)" 'completion of options'

# pkg-config, as if it had been installed where it is
pc=$(find "$prefix" -name ferry.pc)
sed -i "s,^prefix=.*,prefix=$prefix," "$pc"
export PKG_CONFIG_PATH
PKG_CONFIG_PATH=$(dirname "$pc")
equal "$prefix/bin/ferry-idl" "$(pkg-config --variable=ferry_idl ferry)" 'pkg-config: ferry_idl'
equal "$prefix/share/ferry" "$(pkg-config --variable=interfaces ferry)" 'pkg-config: interfaces'
equal "$(ferry-idl --version)" "ferry-idl $(pkg-config --modversion ferry)" 'one version'
expect 0 '*' '' "$(pkg-config --variable=ferry_idl ferry)" --stdout "$prefix/share/ferry/ferry-broker.thrift"

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
sleep 1.1 # of which make looks at the whole
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
    expect 1 '1 / 0?' '' timeout 20 "$folder/client"
    kill "$server"
    wait "$server" 2>/dev/null
    until_true not_served
done
"$work/make/stage" &
started+=($!)
expect 0 '' '' ferry push words 'hello, world'
expect 0 'HELLO, WORLD' '' ferry work loud --count 1
done_testing
