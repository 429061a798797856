#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Through the broker, bytes come back capitalised at least half as fast as over a TCP connection of
# their own: caps-ratio.sh SOURCE-FOLDER BUILD-FOLDER. The best of three, for the machine may be busy.
set -euo pipefail
for _ in 1 2 3; do
    ratio=$("$1/examples/run.sh" "$2" caps | sed -n 's/^ratio: //p')
    echo "ratio: $ratio"
    awk -v ratio="$ratio" 'BEGIN { exit !(ratio >= 0.5) }' && exit
done
exit 1
