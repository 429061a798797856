#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A Meson project that has ferry as a subproject, by packaging/ferry.wrap: its interface file is compiled, its program is
# linked, and runs. usage: test-wrap.sh FERRY SOURCE-FOLDER
source "$(dirname "$0")/lib.sh" "$1"
source=$2
if ! command -v git >/dev/null || ! git -C "$source" rev-parse --git-dir >/dev/null 2>&1; then
    echo 'this is no clone of a Git repository: the wrap is not tried'
    exit 77
fi
# A repository with the files as they are now, so that a change is tested before it is committed
mkdir -p "$work/ferry.git" "$work/outside/subprojects"
(cd "$source" && git ls-files -z | xargs -0 cp --parents -t "$work/ferry.git")
in_copy() { git -C "$work/ferry.git" -c user.name=test -c user.email=test@example.org "$@"; }
expect 0 '*' '' in_copy init --quiet --initial-branch=main
expect 0 '*' '' in_copy add --all
expect 0 '*' '' in_copy commit --quiet --message copy

sed "s,^url = .*,url = file://$work/ferry.git," "$source/packaging/ferry.wrap" >"$work/outside/subprojects/ferry.wrap"
equal 1 "$(grep -c '^url = file' "$work/outside/subprojects/ferry.wrap")" 'the URL of the wrap'
cp "$source/tests/cli/calc/calc.thrift" "$work/outside"
cat >"$work/outside/meson.build" <<'END2'
project('outside', 'c', default_options: ['c_std=c11', 'warning_level=3', 'werror=true', 'optimization=0'])
ferry = dependency('ferry',
  default_options: ['tests=false', 'examples=disabled', 'web=disabled', 'cache=disabled', 'werror=false'])
calc = custom_target('calc', input: 'calc.thrift', output: ['calc.h', 'calc.c'],
  command: [find_program('ferry-idl'), '-o', '@OUTDIR@', '@INPUT@'])
executable('outside', 'main.c', calc, dependencies: ferry)
END2
cat >"$work/outside/main.c" <<'END2'
#include <string.h>

#include "calc.h"

int main(void) {
    return ferry_service_calc.n_methods > 0 && strcmp(ferry_version(), FERRY_VERSION) == 0 ? 0 : 1;
}
END2
expect 0 '*' '' meson setup "$work/outside/build" "$work/outside"
expect 0 '*' '' ninja -C "$work/outside/build" outside
expect 0 '' '' "$work/outside/build/outside"
done_testing
