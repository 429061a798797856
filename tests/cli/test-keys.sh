#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Keys, end to end: files, allowed and refused connections, the errors of both sides, contexts, and
# no printed secret.
source "$(dirname "$0")/lib.sh" "$1"
export XDG_CONFIG_HOME="$work/config"
unset FERRY_URL FERRY_KEY FERRY_SERVER_KEY FERRY_CONTEXT
umask 022

# Files
expect 0 '*' '' ferry key new "$work/broker.key"
server_key=$(cat "$work/out")
for name in alice bob eve; do ferry key new --name "$name" "$work/$name.key" >"$work/$name.public" || failed "ferry key new $name"; done
equal 600 "$(stat -c %a "$work/alice.key")" 'only the owner reads a key file'
equal 64 "${#server_key}" 'the digits of a public key'
expect 0 "$server_key" '' ferry key show "$work/broker.key"
expect 0 "{\"name\": \"alice\", \"public\": \"$(cat "$work/alice.public")\"}" '' ferry key show "$work/alice.key" --json
expect 8 '' 'exists and is not overwritten' ferry key new "$work/alice.key"
expect 6 '' 'No such file' ferry key show "$work/nobody.key"
cp "$work/alice.key" "$work/open.key"
chmod 644 "$work/open.key"
expect 4 '' 'other users can read it' ferry key show "$work/open.key"
echo hello >"$work/not-a.key"
chmod 600 "$work/not-a.key"
expect 2 '' 'not the text of a key file' ferry key show "$work/not-a.key"
expect 2 '' "'make' is not new|show" ferry key make "$work/x.key"

# A broker beyond loopback, without --insecure
configure() { # a line for [user bob] each
    printf '[server]\nkey = %s\n[user alice]\nkey = %s\nmay = push mail work mail admin\n' "$work/broker.key" "$(cat "$work/alice.public")" >"$work/conf"
    [ $# -eq 0 ] || { echo '[user bob]'; printf '%s\n' "$@"; } >>"$work/conf"
}
bob=$(cat "$work/bob.public")
configure "key = $bob" 'may = call demo.* serve demo.*'
start broker --bind 'tcp://0.0.0.0:*' --bind "ipc://$work/socket" --config "$work/conf" 2>"$work/log"
broker_pid=$started_pid
until_true grep -q 'ready' "$work/log"
port=$(sed -n 's/.*listening on tcp:.*:\([0-9]*\)$/\1/p' "$work/log")
url=tcp://127.0.0.1:$port
if grep -q 'anybody' "$work/log"; then failed 'no warning with keys' "$work/log"; fi
as() { local who=$1; shift; ferry --url "$url" --key "$work/$who.key" --server-key "$server_key" "$@"; }

expect 0 '*' '' as alice push mail hello --key k # the key after the name is that of the job
expect 4 '' "the user 'bob' has no right to push 'mail'" as bob push mail hello
expect 0 hello '' as alice work mail --count 1
expect 0 '*' '' as alice sessions --json
grep -q '"user": "alice", "address": "127.0.0.1:' "$work/out" || failed 'a session has its user and address' "$work/out"

# A wrong key is an error at once, over both transports. The message names the problem, and
# discloses no more
expect 4 '' 'it does not know the key of this client' as eve push mail x
expect 4 '' 'it does not know the key of this client' ferry --url "zmq+$url" --key "$work/eve.key" --server-key "$server_key" push mail x
expect 4 '' 'it does not know the key of this client' as eve work mail
expect 4 '' 'its key is not the server key that was given' ferry --url "$url" --key "$work/alice.key" --server-key "$(cat "$work/eve.public")" push mail x
expect 4 '' 'its key is not the server key that was given' ferry --url "zmq+$url" --key "$work/alice.key" --server-key "$(cat "$work/eve.public")" push mail x
expect 4 '' 'it takes only clients with a key' ferry --url "$url" push mail x
expect 4 '' 'it takes only clients with a key' ferry --url "zmq+$url" push mail x
expect 0 '*' '' ferry --url "zmq+$url" --key "$work/alice.key" --server-key "$server_key" push mail x
expect 2 '' 'there is a server key, but no key of the client' ferry --url "$url" --server-key "$server_key" push mail x
expect 2 '' 'there is a key of the client, but no server key' ferry --url "$url" --key "$work/alice.key" push mail x
expect 2 '' 'not 64 hexadecimal digits' ferry --url "$url" --key "$work/alice.key" --server-key abc push mail x
expect 4 '' 'other users can read it' ferry --url "$url" --key "$work/open.key" --server-key "$server_key" push mail x
expect 2 '' 'keys are for tcp://' ferry --url "ipc://$work/socket" --key "$work/alice.key" --server-key "$server_key" ping
expect 0 '*' '' env FERRY_KEY="$work/alice.key" FERRY_SERVER_KEY="$server_key" timeout 120 "$ferry_binary" --url "ipc://$work/socket" ping --count 1
expect 0 '*' '' env FERRY_URL="$url" FERRY_KEY="$work/alice.key" FERRY_SERVER_KEY="$server_key" timeout 120 "$ferry_binary" ping --count 1
grep -q "an unknown key is refused: key=$(cat "$work/eve.public")" "$work/log" || failed 'the log has the unknown key' "$work/log"
grep -q "problem='it has no key'" "$work/log" || failed 'the log has the client without a key' "$work/log"

# Contexts
expect 0 '' '' ferry context list
expect 0 '' '' ferry context add shop --url "$url" --key "$work/alice.key" --server-key "$server_key"
expect 8 '' 'already' ferry context add shop --url "$url"
expect 2 '' 'needs a URL' ferry context add other
expect 2 '' 'is not the URL of a broker' ferry context add other --url nonsense
expect 2 '' 'no server key' ferry context add other --url "$url" --key "$work/alice.key"
expect 0 '*' '' ferry --context shop ping --count 1
expect 0 '*' '' env FERRY_CONTEXT=shop timeout 120 "$ferry_binary" ping --count 1
expect 2 '' "no context 'bar', which \$FERRY_CONTEXT chooses" env FERRY_CONTEXT=bar timeout 120 "$ferry_binary" ping --count 1
expect 0 '' '' ferry context use shop
expect 0 '*' '' ferry ping --count 1
expect 3 '' '' env FERRY_URL="ipc://$work/nothing" timeout 120 "$ferry_binary" ping --count 1
expect 4 '' 'does not know the key' ferry --key "$work/eve.key" ping --count 1
expect 0 '*' '' ferry context show
grep -q "$url" "$work/out" || failed 'the context in use is shown' "$work/out"
expect 0 '*' '' ferry context list --json
grep -q '"current": true' "$work/out" || failed 'the list marks the context in use' "$work/out"
equal 600 "$(stat -c %a "$work/config/ferry/contexts.json")" 'the mode of the file of contexts'
expect 6 '' "no context 'x'" ferry context remove x
expect 0 '' '' ferry context remove shop
expect 0 '' '' ferry context list
echo '[1' >"$work/config/ferry/contexts.json"
expect 1 '' 'cannot read the contexts' ferry ping --count 1
rm "$work/config/ferry/contexts.json"

# Removing a key ends its sessions, and they cannot be resumed
as bob serve demo.Echo.say --echo >/dev/null 2>"$work/serve.err" &
server=$!
until_true as alice ping demo.Echo
configure
kill -HUP "$broker_pid"
wait "$server"
equal 4 "$?" 'the exit status of the server whose key was taken away'
grep -q 'does not know the key of this client' "$work/serve.err" || failed 'it is told why' "$work/serve.err"
expect 4 '' 'does not know the key' as bob ping --count 1

# All or nothing; keys on both sides or neither; secrets are never quoted
configure "key = $(sed -n 's/^secret = //p' "$work/bob.key")x"
expect 2 '' 'key: a public key is 64 hexadecimal digits' as alice reload
grep -q "$(sed -n 's/^secret = //p' "$work/bob.key")" "$work/log" "$work/err" && failed 'a secret key in a message'
configure "key = $(cat "$work/alice.public")"
expect 2 '' '\[user alice\] already has this key' as alice reload
sed -i 's,^key = .*broker.key,key = '"$work/open.key"',' "$work/conf"
expect 2 '' 'other users can read it' as alice reload
printf '[user alice]\nuid = 4000000\nmay = admin\n' >"$work/conf"
expect 2 '' 'the broker listens beyond this machine' as alice reload
printf '[server]\nkey = %s\n[user alice]\nuid = 4000000\n' "$work/broker.key" >"$work/conf"
expect 2 '' 'no \[user\] has one' as alice reload
printf '[user alice]\nkey = %s\n' "$bob" >"$work/conf"
expect 2 '' 'the broker has none' as alice reload
expect 0 '*' '' as alice ping --count 1

# No secret in what was printed, logged, or is shown of a process
for secret in $(sed -n 's/^secret = //p' "$work"/{broker,alice,bob,eve}.key); do
    grep -q "$secret" "$work/log" "$work"/*.err && failed 'a secret key in a log'
    tr '\0' '\n' <"/proc/$broker_pid/cmdline" | grep -q "$secret" && failed 'a secret key in ps'
    as alice stats --json | grep -q "$secret" && failed 'a secret key in the metrics'
done

# An address that begins very many handshakes: the log names the limit, and the address can connect
# again later
configure
printf '[broker]\nmax_handshakes_per_address = 1/s\n' >>"$work/conf"
start broker --bind 'tcp://127.0.0.1:*' --config "$work/conf" 2>"$work/log2"
until_true grep -q ready "$work/log2"
url=tcp://127.0.0.1:$(sed -n 's/.*listening on tcp:.*:\([0-9]*\)$/\1/p' "$work/log2")
python3 -c 'import socket, sys
for _ in range(50): socket.create_connection(("127.0.0.1", int(sys.argv[1]))).close()' "${url##*:}"
until_true grep -q 'a connection is refused: peer=127.0.0.1:.*max_handshakes_per_address' "$work/log2"
until_true as alice ping --count 1
done_testing
