#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The Dockerfile: a linter of npm reads it, and the image has the libraries that ferry is linked with.
# usage: test-dockerfile.sh FERRY SOURCE-FOLDER NODE_MODULES
source "$(dirname "$0")/lib.sh" "$1"
dockerfile=$2/packaging/docker/Dockerfile linter=$3/dockerfile-utils/bin/dockerfile-utils

# The libraries of ferry that come from packages which the image gets. Package names are those of Debian 12.
needed() {
    ldd "$ferry_binary" | awk '$3 ~ /^\// { print $3 }' | while read -r library; do
        dpkg -S "$library" 2>/dev/null || dpkg -S "$(readlink -f "$library")" 2>/dev/null
    done | sed 's/:.*//' | sort -u
}
# Prints the packages that the last stage installs or that the base image has.
has() { sed -n '/^FROM/{h;d}; H; ${x;p}' "$dockerfile" | grep -o '\<lib[a-z0-9.+-]*' | cat - <(printf '%s\n' libc6 libgcc-s1 libtinfo6) | sort -u; }
if command -v dpkg >/dev/null && grep -q '^12' /etc/debian_version 2>/dev/null; then
    equal yes "$(needed | grep -qx libzmq5 && echo yes)" 'packages of the libraries are found'
    # Packages of these libraries' own libraries come along with them.
    for package in $(needed | grep -xE 'lib(hiredis|inih|jansson|microhttpd|msgpackc|ncursesw|sodium|ssl|xxhash|zmq)[0-9.]*'); do
        equal "$package" "$(has | grep -x "$package")" 'a library that the image lacks'
    done
fi

if ! command -v node >/dev/null || [ ! -f "$linter" ]; then
    echo "the linter is not tried: there is no node with the npm package dockerfile-utils; './dev test' installs it"
    done_testing
    exit
fi
expect 0 '' '' node "$linter" lint "$dockerfile"
# The linter sees mistakes: an unknown instruction, a wrong port, a wrong flag.
for fault in 's/^USER/USR/' 's/^EXPOSE .*/EXPOSE broker/' 's/--interval=10s/--every=10s/'; do
    sed "$fault" "$dockerfile" >"$work/Dockerfile"
    expect 1 '*' '' node "$linter" lint "$work/Dockerfile"
done
done_testing
