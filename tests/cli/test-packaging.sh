#!/usr/bin/env bash
# What `meson install` leaves behind, used as a packager and a stranger's build would:
# test-packaging.sh SOURCE-FOLDER BUILD-FOLDER
set -euo pipefail
source=$1 build=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

meson install -C "$build" --no-rebuild --quiet --destdir "$work/root" >/dev/null
prefix=$(find "$work/root" -path '*/bin/ferry' -printf '%h\n' | sed 's,/bin$,,')
library=$(dirname "$(find "$prefix" -name 'libferry.so.0')")
export PKG_CONFIG_SYSROOT_DIR="$work/root" LD_LIBRARY_PATH="$library"
PKG_CONFIG_PATH=$(dirname "$(find "$prefix" -name ferry.pc)")
export PKG_CONFIG_PATH
fail() { echo "FAILED: $*"; exit 1; }

for file in bin/ferry bin/ferry-idl include/ferry/{ferry,schema,pack,cache}.h \
    include/ferry/adapters/{libuv,libev}.h share/bash-completion/completions/ferry; do
    [ -s "$prefix/$file" ] || fail "$file is not installed"
done
! command -v scdoc >/dev/null || [ -s "$prefix/share/man/man1/ferry.1" ] ||
    fail 'there is no man page'
find "$prefix" -name '*.a' | grep . && fail 'libraries of the inside are installed'

# The shared library: its name has a version, and it exports ferry_… and nothing else
[ "$(readlink -f "$library/libferry.so")" = "$(readlink -f "$library/libferry.so.0")" ] ||
    fail 'libferry.so is not a link to libferry.so.0'
readelf -d "$library/libferry.so.0" | grep -q 'SONAME.*\[libferry.so.0\]' || fail 'the soname'
nm -D --defined-only "$library/libferry.so.0" | awk '$2 != "A" && $3 !~ /^ferry_.*@@FERRY_0$/' |
    grep . && fail 'symbols that are nobody else'\''s business'
[ "$(pkg-config --modversion ferry)" = "$("$prefix/bin/ferry" --version | cut -d' ' -f2)" ] ||
    fail 'versions differ'
# Users of the shared library link it alone, and see no header of what it stands on
[ "$(pkg-config --libs-only-l ferry | xargs)" = -lferry ] || fail 'pkg-config names more than -lferry'

# Programs of both languages, warnings and all
strict='-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror'
cat >"$work/one.c" <<'C'
#include <ferry/cache.h>
#include <ferry/ferry.h>
#include <ferry/pack.h>
#include <ferry/schema.h>

int main(void) {
    ferry_client *client = NULL;
    ferry_error error = FERRY_ERROR_INIT;
    int r = ferry_open("ipc:///nowhere/at/all", NULL, &client, &error);

    ferry_publish(client, "a.b", ferry_str("x"), NULL, NULL);
    ferry_error_clear(&error);
    ferry_close(client);
    return r < 0 || strcmp(ferry_version(), FERRY_VERSION) != 0;
}
C
cp "$work/one.c" "$work/one.cpp"
for compiler in gcc clang g++ clang++; do
    command -v "$compiler" >/dev/null || continue
    case $compiler in *++) standard=c++17 file=one.cpp ;; *) standard=c11 file=one.c ;; esac
    # shellcheck disable=SC2046
    "$compiler" -std="$standard" $strict -o "$work/one" "$work/$file" $(pkg-config --cflags --libs ferry)
    "$work/one" || fail "a program made by $compiler"
done


# And what the compiler of interfaces makes
"$prefix/bin/ferry-idl" -o "$work" "$source/tests/cli/calc/calc.thrift"
cc -std=c11 $strict -c -o "$work/calc.o" "$work/calc.c" $(pkg-config --cflags ferry)
echo 'what is installed: ok'
