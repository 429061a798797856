#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Users and rights, end to end, as the user who runs this test: root is not needed.
source "$(dirname "$0")/lib.sh" "$1"
uid=$(id -u)

configure() { # MAY...: rights of the user of this test
    printf '[user other]\nuid = 4000000\nmay = call x\n[user me]\nuid = %s\n' "$uid" >"$work/conf"
    printf 'may = %s\n' "$@" >>"$work/conf"
}

configure 'push mail call demo.*'
start broker --bind "$FERRY_URL" --config "$work/conf" --log-level info 2>"$work/log"
broker_pid=$started_pid
until_true ferry ping
equal 600 "$(stat -c %a "$work/broker")" 'the socket is private'

# Allowed and denied actions: a denial does not disclose whether the object exists
expect 0 '*' '' ferry push mail hello
job=$(cat "$work/out")
expect 4 '' "PermissionDenied: the user 'me' has no right to push 'print'" ferry push print hello
expect 4 '' "has no right to manage 'mail'" ferry job cancel "$job"
expect 4 '' "has no right to peek 'mail'" ferry job show "$job"
expect 4 '' "has no right to work 'mail'" ferry work mail --count 1
expect 4 '' "has no right to peek 'mail'" ferry queue peek mail
expect 4 '' "has no right to peek 'nothing'" ferry queue peek nothing
expect 4 '' "has no right to call 'log.Log'" ferry call log.Log.write
expect 6 '' 'NoSuchService' ferry call demo.Echo.say
expect 4 '' "has no right to serve 'demo.Echo'" ferry serve demo.Echo.say --echo
expect 4 '' "no right to publish 'news'" ferry pub news x
expect 4 '' "has no right to subscribe '>'" ferry sub '>'
expect 4 '' "has no right to watch '>'" ferry tap
expect 4 '' "has no right to admin" ferry call ferry.Broker.drain
expect 4 '' "has no right to admin" ferry reload
grep -q "permission denied: user='me' action='push' name='print'" "$work/log" || failed 'the log has the denial' "$work/log"

# ferry auth check explains decisions
expect 0 'allowed by line 6: [user me] may = push mail' '' ferry auth check me push mail
expect 4 "denied: no line allows 'me' to work 'mail'" '' ferry auth check me work mail
expect 0 '{"allowed": true, "rule": "[user me] may = call demo.*", "line": 6}' '' ferry auth check me call 'demo.*' --json
expect 4 '' "ask about the user 'other'" ferry auth check other call x
expect 2 '' "not 'pull'" ferry auth check me pull mail
expect 2 '' "'chek' is not a verb of this command: write 'check'" ferry auth chek me push mail

# Sessions: user, address, process; and an end to them
configure 'push mail call demo.* serve demo.*' 'work mail'
kill -HUP "$broker_pid"
until_true ferry auth check me work mail
start serve demo.Echo.say --echo 2>/dev/null
server=$started_pid
until_true ferry ping demo.Echo
ferry sessions --json >"$work/sessions"
grep -q "\"user\": \"me\", \"address\": \"process $server\", \"pid\": $server" "$work/sessions" || failed 'the session of the server' "$work/sessions"
number=$(ferry sessions "serve/$server" | cut -f1)
expect 0 '' 'has ended' ferry session kick "$number"
until_true ferry ping demo.Echo # it has come back
[ "$(ferry sessions "serve/$server" | cut -f1)" -gt "$number" ] || failed 'a new session'
expect 6 '' 'there is no session 99999' ferry session kick 99999
expect 2 '' 'is not the number of a session' ferry session kick me

# The server knows the user of its caller; no header fakes it
start serve demo.Echo.who --exec 'echo "$FERRY_USER"' --format text 2>/dev/null
who=$started_pid
kill "$server"
wait "$server" 2>/dev/null
until_true ferry call demo.Echo.who
expect 0 '"me"' '' ferry call demo.Echo.who -H user:root -H ferry-user:root
kill "$who"
wait "$who" 2>/dev/null
start serve demo.Echo.say --echo 2>/dev/null
until_true ferry ping demo.Echo

# The number of connections of one user is limited; the limit applies to new connections
configure 'push mail call demo.* serve demo.*' 'work mail'
echo 'max_connections = 1' >>"$work/conf"
kill -HUP "$broker_pid"
until_true bash -c "'$ferry_binary' ping 2>&1 | grep -F \"the user 'me' already has 1 connections (max_connections)\""
configure 'push mail call demo.* serve demo.*' 'work mail'
kill -HUP "$broker_pid"
until_true ferry ping demo.Echo

# A right that is taken away ends the session that used it; the user keeps its other rights
configure 'call demo.* work mail'
kill -HUP "$broker_pid"
until_true bash -c "! '$ferry_binary' auth check me serve demo.Echo"
expect 6 '' 'NoSuchService' ferry call demo.Echo.say
expect 0 'hello' '' ferry work mail --count 1

# A file with an error changes nothing
configure 'call demo.* wrok mail'
echo 'uid = nobody' >>"$work/conf"
kill -HUP "$broker_pid"
until_true grep -q "uid: 'nobody' is not the number" "$work/log"
expect 0 '*' '' ferry auth check me work mail

# Without users again, everything is allowed
echo >"$work/conf"
kill -HUP "$broker_pid"
until_true ferry push print hello
expect 0 'allowed: the broker has no users, so everybody may do everything' '' ferry auth check me work mail
expect 0 '' '' ferry reload --quiet
echo '[brokr]' >"$work/conf"
echo 'x = 1' >>"$work/conf"
expect 2 '' 'the configuration was not changed: .*unknown section' ferry reload
done_testing
