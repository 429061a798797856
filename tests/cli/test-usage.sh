#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The messages of `ferry` for wrong usage, and its help. No broker is needed.
source "$(dirname "$0")/lib.sh" "$1"

expect 2 '' 'usage: ferry COMMAND' ferry
expect 0 '*' '' ferry --help
expect 0 '*' '' ferry help
expect 2 '' "there is no command 'cal'" ferry cal
expect 2 '' "did you mean 'ferry call'" ferry cal
expect 2 '' "did you mean 'ferry pub'" ferry publish
expect 2 '' "did you mean '--help'" ferry --hlep
expect 2 '' "did you mean 'queue'" ferry help quue
[ "$(ferry --version)" = "$(ferry ping --version)" ] || failed 'one version'

for command in broker serve call pub sub gather push work queue services describe topics sessions \
    stats ping bench completion help; do
    expect 0 '*' '' ferry help "$command"
    grep -q "usage: ferry $command" "$work/out" || failed "help $command names its usage"
    grep -q -e '--url' "$work/out" || failed "help $command names --url"
    expect 0 '*' '' ferry "$command" --help
    expect 2 '' "there is no option '--xyzzy'" ferry "$command" --xyzzy
done

expect 2 '' 'usage: ferry call SERVICE.METHOD' ferry call
expect 2 '' 'missing: TOPIC' ferry pub
expect 2 '' 'missing: call|pub|push' ferry bench
expect 2 '' "'add' is not a method" ferry call add
expect 2 '' "'add.' is not a method" ferry call add.
expect 2 '' "did you mean '--timeout'" ferry call a.b --timeuot 5s
expect 2 '' "'soon' is not a time like 250ms, 5s or 2m" ferry call a.b --timeout soon
expect 2 '' "out of range: 1 to 3600000 ms" ferry call a.b --timeout 2h
expect 2 '' "argument 1: 'hello' is not JSON" ferry call a.b hello --unchecked
expect 2 '' "argument 2: 'x=1' names a parameter" ferry call a.b 1 x=1 --unchecked
expect 2 '' "cannot open '/nowhere'" ferry call a.b @/nowhere --unchecked
expect 2 '' "a header is NAME:VALUE" ferry call a.b -H colon
expect 2 '' 'one of --echo, --exec CMD and --fail' ferry serve a.b
expect 2 '' 'one of --echo, --exec CMD and --fail' ferry serve a.b --echo --exec cat
expect 2 '' "'xml' is not one of text|json|msgpack" ferry serve a.b --echo --format xml
expect 2 '' 'TYPE or TYPE:MESSAGE' ferry serve a.b --fail :x
expect 2 '' 'ferry queue move FROM TO' ferry queue prge mail
expect 2 '' 'missing: COMMAND' ferry -u tcp://127.0.0.1:1
expect 2 '' 'missing: COMMAND' ferry --json
expect 2 '' "there is no option '-Q'" ferry -Q
expect 0 '*' '' ferry -q --help
grep -q 'ferry COMMAND' "$work/out" || failed 'common options before --help' "$work/out"
expect 2 '' 'the body is given twice' ferry pub t body --file /dev/null
expect 2 '' 'too many arguments' ferry push q a b
expect 2 '' 'out of range: 0 to 9' ferry push q a --priority 10
for command in 'push q' 'pub t' 'gather t'; do
    expect 2 '' "read only with '-'" bash -c "echo x | timeout -k 5 120 '$ferry_binary' $command"
    expect 2 '' "read only with '-'" bash -c "timeout -k 5 120 '$ferry_binary' $command <'$0'"
done
expect 2 '' 'confirm it with --yes' ferry queue purge q
expect 2 '' "did you mean 'purge'" ferry queue prge mail
expect 2 '' 'show needs a queue' ferry queue show
expect 2 '' 'needs two queues' ferry queue move a
expect 2 '' "'calls' is not one of call|pub|push" ferry bench calls
expect 2 '' '--serve is only for' ferry bench pub --serve
expect 2 '' 'bash, fish or zsh' ferry completion tcsh
expect 2 '' 'log-level' ferry broker --log-level loud

# No broker
export FERRY_URL="ipc://$work/nobody"
expect 3 '' "no broker listens at ipc://$work/nobody" ferry ping --timeout 5s
expect 3 '' "ferry broker" ferry pub t x
expect 3 '' "no broker listens" ferry push q x
expect 3 '' 'NotConnected' ferry services --url "ipc://$work/nobody2"
# A command that is run once does not wait for 5 s; --wait does, and says so.
expect 3 '' "nobody: waiting" ferry services --wait 3s
if ferry help cache >/dev/null 2>&1; then
    expect 3 '' 'is Redis running there' ferry cache get x --cache redis://127.0.0.1:1
    ! grep -q broker "$work/err" || failed 'cache asks for no broker' "$work/err"
fi

# Another program in place of the broker
python3 - "$work" <<'END' &
import socket, sys, threading
def answer(name, text):
    s = socket.socket()
    s.bind(("127.0.0.1", 0))
    s.listen(16)
    with open(f"{sys.argv[1]}/{name}.new", "w") as f:
        f.write(f"tcp://127.0.0.1:{s.getsockname()[1]}")
    __import__("os").rename(f"{sys.argv[1]}/{name}.new", f"{sys.argv[1]}/{name}")
    while True:
        peer, _ = s.accept()
        peer.recv(100)
        peer.sendall(text)
threading.Thread(target=answer, args=("http", b"HTTP/1.1 400 Bad Request\r\n\r\n"), daemon=True).start()
answer("redis", b"-ERR unknown command\r\n")
END
started+=($!)
until_true test -e "$work/http" -a -e "$work/redis"
expect 3 '' 'an HTTP server answers at' ferry ping --url "$(cat "$work/http")"
expect 3 '' 'a Redis server answers at' ferry serve a.B.c --echo --url "$(cat "$work/redis")"
expect 2 '' 'neither tcp://HOST:PORT nor ipc://PATH' ferry ping --url gopher://x
expect 2 '' 'port is not a number from 1 to 65535' ferry ping --url tcp://127.0.0.1:99999
done_testing
