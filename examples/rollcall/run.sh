# SPDX-License-Identifier: Apache-2.0
# What ./dev example rollcall runs: see examples/run.sh.
for member in anna bert clara; do
    ROLLCALL_NAME=$member start "$build/examples/rollcall-server"
done
until_true is_served 'rollcall.Rollcall[[:space:]]*3'
client rollcall-client 300
