#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The Debian packages in a fresh system: debootstrap makes a minimal folder of Debian 12, apt installs the packages there with
# their dependencies, and then the packages' own test, the configured broker and the demo run in it. As root.
# usage: fresh-system.sh PACKAGES-FOLDER BUILD-FOLDER [FRESH-FOLDER]    the folder is copied, in place of debootstrap
set -euo pipefail
if [ "${FRESH_INSIDE:-}" = "" ]; then # a mount and process namespace: nothing that starts here outlives it
    FRESH_INSIDE=yes exec unshare --mount --pid --fork --kill-child bash "$0" "$@"
fi
packages=$(readlink -f "$1") build=$(readlink -f "$2") source=$(readlink -f "$(dirname "$0")/../..")
work=$(mktemp -d)
root=$work/root
leave() {
    umount "$root/proc" 2>/dev/null || true
    rm -rf --one-file-system "$work"
}
trap leave EXIT
enter=(chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive)
inside() { "${enter[@]}" "$@"; }
quietly() { "$@" >"$work/log" 2>&1 || { tail -40 "$work/log"; echo "failed: $*"; exit 1; }; }
until_true() {
    for _ in $(seq 2400); do "$@" >/dev/null 2>&1 && return; sleep 0.05; done
    echo "not true within two minutes: $*"
    return 1
}

if [ -n "${3:-}" ]; then
    cp -a "$3" "$root"
else
    quietly debootstrap --variant=minbase bookworm "$root" "${MIRROR:-http://deb.debian.org/debian}"
fi
mount -t proc proc "$root/proc"
find "$packages" -maxdepth 1 -name '*.deb' ! -name '*dbgsym*' -exec cp -t "$root/tmp" {} +
quietly inside apt-get update
quietly inside sh -c 'apt-get install -y --no-install-recommends /tmp/*.deb'
echo "installed: $(inside dpkg-query -W -f '${Package} ' ferry ferry-idl libferry0 libferry-dev)"

# The packages' own test; the compiler with the installed interface file
cp "$source/packaging/debian/tests/round-trip" "$root/tmp"
quietly inside sh /tmp/round-trip
quietly inside ferry-idl --stdout /usr/share/ferry/ferry-broker.thrift
echo "round trip: ok"

# The broker as its unit starts it: the user of the package, and the configuration of the package
inside install -d -o ferry -g ferry /run/ferry /var/lib/ferry
"${enter[@]}" setpriv --reuid=ferry --regid=ferry --clear-groups ferry broker --config /etc/ferry/ferry.conf \
    --data /var/lib/ferry --log-level warning --web 127.0.0.1:0 &
broker=$!
until_true inside ferry --url ipc:///run/ferry/socket ping
inside ferry --url ipc:///run/ferry/socket push mail hello >/dev/null
[ "$(inside ferry --url ipc:///run/ferry/socket work mail --count 1)" = hello ]
kill "$broker"
wait
echo "the configured broker: ok"

# The demo, with the installed programs, and the examples of the build with the installed library
quietly inside apt-get install -y --no-install-recommends libcurl4 libc-ares2 libssh-4
mkdir -p "$root"/demo/{build/examples,build/tests/cache,tests/cli,rpc/wire}
cp "$source/tests/cli/demo.sh" "$root/demo/tests/cli"
cp "$source"/rpc/wire/*.[ch] "$root/demo/rpc/wire"
cp "$build/examples/ferry-examples" "$root/demo/build/examples"
cp "$build/tests/cache/bench-memo" "$root/demo/build/tests/cache"
inside ldd /demo/build/examples/ferry-examples | grep -q 'libferry.so.0 => /lib'
inside /demo/tests/cli/demo.sh /demo/build >"$work/demo" 2>&1 || { tail -40 "$work/demo"; exit 1; }
for text in 'What the broker saw' 'files compressed, checked and collected' 'http://127.0.0.1:'; do
    grep -q "$text" "$work/demo" || { cat "$work/demo"; echo "the demo does not print '$text'"; exit 1; }
done
echo "the demo: ok"
