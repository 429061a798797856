# SPDX-License-Identifier: Apache-2.0
# What ./dev example lucky runs: see examples/run.sh.
serve lucky
client lucky-client
client ferry call lucky.Lucky.lose 1
[ -z "$quick" ] || { client lucky-client 20 0.3 1; return; }
client lucky-client || echo "(exit status $?)"
client lucky-client 1000 0.7 1
