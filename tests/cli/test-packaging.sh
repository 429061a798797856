#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The installed files, as a packager sees them: test-packaging.sh SOURCE-FOLDER BUILD-FOLDER
source=$1
stage=$(mktemp -d)
source "$(dirname "$0")/installed.sh" "$2" "$stage"
source "$(dirname "$0")/lib.sh" "$prefix/bin/ferry"
trap 'finish; rm -rf "$stage"' EXIT

# ---- the list of installed files ----
there() { n_checks=$((n_checks + 1)); [ -s "$prefix/$1" ] || failed "not installed: $1"; }
for file in bin/ferry bin/ferry-idl share/ferry/ferry-broker.thrift \
    include/ferry/{ferry,schema,cache,pack,pool}.h include/ferry/adapters/{libuv,libev}.h \
    share/bash-completion/completions/{ferry,ferry-idl} share/zsh/vendor-completions/_ferry{,-idl} \
    share/fish/vendor_completions.d/ferry{,-idl}.fish share/ferry/ferry-events.thrift \
    lib/systemd/system/ferry{.service,-web.service,-web.socket} lib/{sysusers,tmpfiles}.d/ferry.conf share/doc/ferry/ferry.conf; do
    there "$file"
done
if command -v scdoc >/dev/null; then
    there share/man/man1/ferry.1
    there share/man/man1/ferry-idl.1
    there share/man/man5/ferry.conf.5
fi
equal '' "$(find "$prefix" -name '*.a')" 'libraries of the inside are installed'
# Each file belongs to a Debian package: './dev package' stops at a file that none of them has.
unpackaged() {
    local file pattern patterns
    patterns=$(sed 's#^lib/systemd#usr/&#; s/ .*//' "$source"/packaging/debian/{*.install,not-installed})
    while read -r file; do
        for pattern in $patterns; do
            # shellcheck disable=SC2053
            [[ usr/$file != $pattern && usr/$file != $pattern/* ]] || continue 2
        done
        echo "$file"
    done < <(cd "$prefix" && find . ! -type d -printf '%P\n')
}
equal '' "$(unpackaged)" 'files of no Debian package'

# ---- completion ----
for file in "$prefix"/share/bash-completion/completions/*; do
    expect 0 '' '' bash -n "$file"
done
! command -v zsh >/dev/null || expect 0 '' '' zsh -n "$prefix/share/zsh/vendor-completions/_ferry"
! command -v fish >/dev/null || expect 0 '' '' fish -n "$prefix/share/fish/vendor_completions.d/ferry.fish"
completions() { # WORD...: what bash offers behind `ferry-idl`
    bash -c 'source "$0"; COMP_WORDS=(ferry-idl "$@") COMP_CWORD=$#; _ferry_idl; echo "${COMPREPLY[@]}"' \
        "$prefix/share/bash-completion/completions/ferry-idl" "$@" 2>/dev/null
}
equal 'format' "$(completions form)" 'completion of commands'
equal '--check' "$(completions format --c)" 'completion of options'

# ---- the library: its name has a version, and it exports ferry_... and nothing else ----
equal "$(readlink -f "$library/libferry.so.0")" "$(readlink -f "$library/libferry.so")" 'the link libferry.so'
expect 0 '*' '' sh -c "readelf -d '$library/libferry.so.0' | grep 'SONAME.*\[libferry.so.0\]'"
equal '' "$(nm -D --defined-only "$library/libferry.so.0" | awk '$2 != "A" && $3 !~ /^ferry_.*@@FERRY_0$/')" \
    'symbols that are nobody else'\''s business'

# ---- pkg-config ----
equal "ferry $(pkg-config --modversion ferry)" "$(ferry --version)" 'one version'
equal "ferry-idl $(pkg-config --modversion ferry)" "$(ferry-idl --version)" 'one version'
# Programs link only the shared library, and need no headers of its dependencies.
equal -lferry "$(pkg-config --libs-only-l ferry | xargs)" 'what is linked'
equal "$prefix/bin/ferry-idl" "$(pkg-config --variable=ferry_idl ferry)" 'ferry_idl'
equal "$prefix/share/ferry" "$(pkg-config --variable=interfaces ferry)" 'interfaces'
expect 0 '*' '' ferry-idl --stdout "$prefix/share/ferry/ferry-broker.thrift"

# ---- CMake ----
if command -v cmake >/dev/null; then
    mkdir "$work/cmake"
    cp "$source/tests/cli/calc/calc.thrift" "$work/cmake"
    cat >"$work/cmake/CMakeLists.txt" <<'END'
cmake_minimum_required(VERSION 3.16)
project(outside C)
find_package(ferry 0.1 REQUIRED)
add_custom_command(OUTPUT calc.h calc.c COMMAND ${ferry_IDL} -o . ${CMAKE_SOURCE_DIR}/calc.thrift DEPENDS calc.thrift)
add_executable(outside main.c calc.c)
target_include_directories(outside PRIVATE ${CMAKE_CURRENT_BINARY_DIR})
target_link_libraries(outside ferry::ferry)
END
    cat >"$work/cmake/main.c" <<'END'
#include <string.h>

#include "calc.h"

int main(void) {
    return ferry_service_calc.n_methods > 0 && strcmp(ferry_version(), FERRY_VERSION) == 0 ? 0 : 1;
}
END
    expect 0 '*' '' cmake -S "$work/cmake" -B "$work/cmake/build" -DCMAKE_PREFIX_PATH="$prefix"
    expect 0 '*' '' cmake --build "$work/cmake/build"
    expect 0 '' '' "$work/cmake/build/outside"
fi

# ---- programs of both languages, warnings and all, and what ferry-idl makes ----
strict='-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror'
cat >"$work/one.c" <<'C'
#include <ferry/cache.h>
#include <ferry/ferry.h>
#include <ferry/pack.h>
#include <ferry/pool.h>
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
expect 0 '' '' ferry-idl -o "$work" "$source/tests/cli/calc/calc.thrift"
# shellcheck disable=SC2046,SC2086
for compiler in gcc clang g++ clang++; do
    command -v "$compiler" >/dev/null || continue
    case $compiler in *++) standard=c++17 file=one.cpp ;; *) standard=c11 file=one.c ;; esac
    expect 0 '' '' "$compiler" -std=$standard $strict -o "$work/one" "$work/$file" $(pkg-config --cflags --libs ferry)
    expect 0 '' '' "$work/one"
    [ $standard = c++17 ] ||
        expect 0 '' '' "$compiler" -std=c11 $strict -c -o "$work/calc.o" "$work/calc.c" $(pkg-config --cflags ferry)
done
done_testing
