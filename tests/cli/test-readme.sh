#!/usr/bin/env bash
# The README's "Your first service", word for word: test-readme.sh SOURCE-FOLDER BUILD-FOLDER
set -euo pipefail
source=$1 build=$2
work=$(mktemp -d)
stop() {
    [ ! -f "$work/pids" ] || xargs -r kill <"$work/pids" 2>/dev/null || true
    rm -rf "$work"
}
trap stop EXIT

meson install -C "$build" --no-rebuild --quiet --destdir "$work/root" >/dev/null
prefix=$(find "$work/root" -path '*/bin/ferry' -printf '%h\n' | sed 's,/bin$,,')
export PATH="$prefix/bin:$PATH" FERRY_URL="ipc://$work/broker" PKG_CONFIG_SYSROOT_DIR="$work/root"
PKG_CONFIG_PATH=$(dirname "$(find "$prefix" -name ferry.pc)")
LD_LIBRARY_PATH=$(dirname "$(find "$prefix" -name 'libferry.so.0')")
export PKG_CONFIG_PATH LD_LIBRARY_PATH

# Each block goes into the file that the line before it names; the one of commands is run.
mkdir "$work/empty" && cd "$work/empty"
awk -v source="$source/README.md" '
    /^## / { on = $0 == "## Your first service" }
    on && match($0, /as `[^`]+`:/) { name = substr($0, RSTART + 4, RLENGTH - 6) }
    on && /^and run:/ { name = "commands.sh" }
    on && /^The last two lines/ { name = "expected" }
    on && /^```/ { inside = !inside; if (!inside) name = ""; next }
    on && inside && name { print > name }' "$source/README.md"
[ "$(grep -cv '^ *$' server.c)" -lt 30 ] && [ "$(grep -cv '^ *$' calc.thrift)" -le 10 ]

(
    cat commands.sh
    echo 'jobs -p >"'"$work"'/pids"'
) >run.sh
bash run.sh >got 2>&1 || true
sed -i 's, on [^ ]*/[0-9]*$, on HOST/PID,' got
diff expected got
echo "the README's first service: ok"
