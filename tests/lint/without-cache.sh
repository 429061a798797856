#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The library and the command build without the cache, and then export nothing of it:
# without-cache.sh SOURCE
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

meson setup "$folder" "$1" -Dcache=disabled --buildtype plain -Dwerror=true >"$folder.log" 2>&1 ||
    { tail -30 "$folder.log"; exit 1; }
rm "$folder.log"
ninja -C "$folder" -j 1 clients/c/libferry.so.0 ferry >"$folder/log" 2>&1 || { tail -30 "$folder/log"; exit 1; }
if nm -D --defined-only "$folder/clients/c/libferry.so.0" | grep ferry_cache; then
    echo "the library exports a cache that it does not have"
    exit 1
fi
"$folder/ferry" help >/dev/null
if readelf -d "$folder/clients/c/libferry.so.0" | grep hiredis; then
    echo "the library needs hiredis"
    exit 1
fi
