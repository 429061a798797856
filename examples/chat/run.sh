# SPDX-License-Identifier: Apache-2.0
# What ./dev example chat runs: see examples/run.sh.
serve chat
mkfifo "$scratch/alice" "$scratch/bob"
"$build/examples/chat-client" den alice <"$scratch/alice" >"$scratch/alice.out" &
alice=$!
exec 7>"$scratch/alice"
until_true grep -q 'alice came' "$scratch/alice.out"
echo "Hello?" >&7
"$build/examples/chat-client" den bob <"$scratch/bob" >/dev/null &
bob=$!
exec 8>"$scratch/bob"
until_true grep -q 'bob came' "$scratch/alice.out"
echo "I am here." >&8
until_true grep -q 'I am here' "$scratch/alice.out"
{ kill -9 "$bob" && wait "$bob"; } 2>/dev/null || true
until_true grep -q 'bob vanished' "$scratch/alice.out"
echo '$ echo "What was said?" | chat-client den carol'
{ echo "What was said?"; sleep 0.3; } | "$build/examples/chat-client" den carol
exec 7>&- 8>&-
wait "$alice"
echo "Alice saw:"
sed 's/^/    /' "$scratch/alice.out"
