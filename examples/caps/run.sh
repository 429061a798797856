# SPDX-License-Identifier: Apache-2.0
# What ./dev example caps runs: see examples/run.sh.
serve caps
client caps-client 100
echo "broker: at most $(peak "$broker"), worker: at most $(peak "$started")"
client caps-client 100 $((quick ? 1 : 5))
echo "broker: at most $(peak "$broker"), worker: at most $(peak "$started")"
