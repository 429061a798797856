# SPDX-License-Identifier: Apache-2.0
# What ./dev example filestream runs: see examples/run.sh.
serve filestream
server=$started
client filestream-client ${quick:+16}
echo "broker: at most $(peak "$broker"), server: at most $(peak "$server")"
mkfifo "$scratch/return"
echo '$ filestream-client --lost'
"$build/examples/filestream-client" --lost <"$scratch/return" >"$scratch/lost" &
lost=$!
exec 7>"$scratch/return"
until_true grep -q Press "$scratch/lost"
{ kill -9 "$server" && wait "$server"; } 2>/dev/null || true
is_gone() { ! is_served filestream; }
until_true is_gone
exec 7>&-
wait "$lost"
cat "$scratch/lost"
