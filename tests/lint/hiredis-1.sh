#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The cache also compiles with the headers of hiredis 1.x; on Debian 12 it is built with 0.14. The
# test is skipped on a machine without these headers: hiredis-1.sh SOURCE COMPILER. HIREDIS_1 may
# name the folder that has hiredis/hiredis.h.
set -euo pipefail
source=$1 compiler=${2:-cc}

for folder in ${HIREDIS_1:+"$HIREDIS_1"} /usr/include /usr/local/include /opt/hiredis/include; do
    header=$folder/hiredis/hiredis.h
    if [ -f "$header" ] && grep -qE '^#define HIREDIS_MAJOR [1-9]' "$header"; then
        echo "hiredis $(awk '/^#define HIREDIS_(MAJOR|MINOR|PATCH) /{v = v "." $3} END {print substr(v, 2)}' "$header")"
        "$compiler" -std=c11 -D_GNU_SOURCE -Wall -Wextra -Wpedantic -Wshadow -Werror -fsyntax-only \
            -isystem "$folder" -I"$source" -I"$source/include" "$source"/cache/*/*.c
        exit
    fi
done
echo "no headers of hiredis 1.x here; HIREDIS_1 may name their folder"
exit 77
