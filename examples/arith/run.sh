# SPDX-License-Identifier: Apache-2.0
# What ./dev example arith runs: see examples/run.sh.
serve arith
client ferry describe arith.Arith
client ferry call arith.Arith.add 2 3
client arith-client
