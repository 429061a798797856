#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The keys of the broker, of a server and of a caller are replaced while calls are made: no call fails.
source "$(dirname "$0")/lib.sh" "$1"
unset FERRY_URL FERRY_KEY FERRY_SERVER_KEY
cd "$work" || exit 1
for name in broker broker2 server server2 caller caller2; do ferry key new "$name.key" >"$name.public"; done

configure() { # BROKER-KEYS SERVER-KEYS CALLER-KEYS
    {
        echo '[server]'
        for name in $1; do echo "key = $work/$name.key"; done
        echo '[user server]'
        for name in $2; do echo "key = $(cat "$name.public")"; done
        printf 'may = serve demo.*\n[user caller]\n'
        for name in $3; do echo "key = $(cat "$name.public")"; done
        echo 'may = call demo.*'
    } >conf
}
reload() {
    local n
    n=$(grep -c 'has been read again' log)
    kill -HUP "$broker_pid"
    until_true bash -c "[ \"\$(grep -c 'has been read again' log)\" -gt $n ]"
}
serve() { # KEY BROKER
    "$ferry_binary" --url "$url" --key "$1.key" --server-key "$(cat "$2.public")" serve demo.Echo.say --echo 2>/dev/null &
    server_pid=$!
    started+=("$server_pid")
}

configure broker server caller
start broker --bind 'tcp://127.0.0.1:*' --config conf 2>log
broker_pid=$started_pid
until_true grep -q ready log
url=tcp://127.0.0.1:$(sed -n 's/.*listening on tcp:.*:\([0-9]*\)$/\1/p' log)
echo caller >key
echo broker >broker-now
serve server broker
once() { ferry --url "$url" --key "$(cat key).key" --server-key "$(cat "$(cat broker-now).public")" call demo.Echo.say --quiet 1 >/dev/null 2>>errors && echo >>good || echo >>bad; }
until_true bash -c "'$ferry_binary' --url $url --key caller.key --server-key $(cat broker.public) call demo.Echo.say 1"

# A loop makes one call after the other, each with a connection of its own.
: >good; : >bad; : >errors; : >go
(while [ -e go ]; do once; done) &
caller_pid=$!
started+=("$caller_pid")
more() { # until five more calls have been answered
    local n
    n=$(wc -l <good)
    until_true bash -c "[ \"\$(wc -l <good)\" -ge $((n + 5)) ]"
}
old_server=$server_pid
more
configure 'broker broker2' 'server server2' 'caller caller2' # 1: old and new keys are valid
reload
more
echo caller2 >next && mv next key # 2: the programs change to the new keys, one after the other
echo broker2 >next && mv next broker-now
more
serve server2 broker2
new_ready() { [ "$(ferry --url "$url" --key caller2.key --server-key "$(cat broker2.public)" services --json | grep -o '"instances": [0-9]*' | head -1)" = '"instances": 2' ]; }
until_true new_ready
kill "$old_server" # it finishes its calls
wait "$old_server"
more
configure broker2 server2 caller2 # 3: the old keys go
reload
more
rm go
wait "$caller_pid"
equal 0 "$(wc -l <bad)" 'failed calls'
[ ! -s errors ] || failed 'errors of callers' errors
[ "$(wc -l <good)" -ge 25 ] || failed 'there were calls all the time' good
expect 4 '' 'it does not know the key of this client' ferry --url "$url" --key caller.key --server-key "$(cat broker2.public)" call demo.Echo.say 1
expect 4 '' 'its key is not the server key that was given' ferry --url "$url" --key caller2.key --server-key "$(cat broker.public)" call demo.Echo.say 1
done_testing
