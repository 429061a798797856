#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# No secret in the core of a running program: of a broker with a key, of a client with one, of a client of a Redis with a
# password; and none in what ps shows of them.
source "$(dirname "$0")/lib.sh" "$1"
unset FERRY_URL FERRY_KEY FERRY_SERVER_KEY FERRY_CACHE
cd "$work" || exit 1
nm "$ferry_binary" 2>/dev/null | grep -q __asan && { echo 'skipped: cores of a sanitizer are too large'; exit 77; }

# core PID: a core of this process in the file core.PID
if [ "$(cat /proc/sys/kernel/core_pattern)" = core ] && ulimit -c unlimited 2>/dev/null; then
    core() {
        rm -f core
        kill -ABRT "$1"
        wait "$1" 2>/dev/null
        [ -e "core.$1" ] || mv core "core.$1"
    }
elif command -v gcore >/dev/null; then
    core() { gcore -o core "$1" >/dev/null 2>&1; }
else
    echo 'skipped: this machine makes no cores (core_pattern), and has no gcore'
    exit 77
fi

# The texts of the file $1 that are in the file $2, "hex:" in front of bytes
found_in() {
    python3 - "$1" "$2" <<'PYTHON'
import sys
core = open(sys.argv[2], "rb").read()
for line in open(sys.argv[1]).read().split():
    text = bytes.fromhex(line[4:]) if line.startswith("hex:") else line.encode()
    if text in core:
        print(line)
PYTHON
}

# Texts that must not be in the core, and a text that must be: it shows that the core has the memory of the program.
look() { # PID PRESENT SECRET...
    local pid=$1 present=$2
    shift 2
    kill -0 "$pid" 2>/dev/null || { failed "$pid does not run"; return; }
    tr '\0' '\n' <"/proc/$pid/cmdline" >ps
    tr '\0' '\n' <"/proc/$pid/environ" >>ps
    printf '%s\n' "$@" >secrets
    equal '' "$(found_in secrets ps)" "secrets among the arguments and in the environment of $pid"
    core "$pid" || { echo 'skipped: there is no core'; exit 77; }
    [ -s "core.$pid" ] || { echo 'skipped: there is no core'; exit 77; }
    echo "$present" >present
    equal "$present" "$(found_in present "core.$pid")" "what a core of $pid must have"
    equal '' "$(found_in secrets "core.$pid")" "secrets in a core of $pid"
    rm -f "core.$pid"
}

# The parts of a secret key: the first and last bits of its bytes are fixed on use
secrets_of() {
    local digits
    digits=$(sed -n 's/^secret = //p' "$1")
    echo "hex:${digits:2:60} ${digits:2:60}"
}

for name in broker alice; do ferry key new "$name.key" >"$name.public"; done
printf '[server]\nkey = %s\n[user alice]\nkey = %s\nmay = admin\n' "$work/broker.key" "$(cat alice.public)" >conf
start broker --bind 'tcp://127.0.0.1:*' --config conf 2>log
broker=$started_pid
until_true grep -q ready log
url=tcp://127.0.0.1:$(sed -n 's/.*listening on tcp:.*:\([0-9]*\)$/\1/p' log)
keys="--key alice.key --server-key $(cat broker.public)"
start --url "$url" $keys work mail >/dev/null 2>&1
worker=$started_pid
until_true bash -c "[ \"\$('$ferry_binary' --url $url $keys sessions --json | grep -o '\"session\":' | wc -l)\" -ge 2 ]"
look "$worker" "hex:$(cat broker.public)" $(secrets_of alice.key)
look "$broker" "hex:$(cat alice.public)" $(secrets_of broker.key)

if command -v redis-server >/dev/null; then
    redis-server --port 0 --unixsocket "$work/redis" --save '' --dir "$work" --requirepass 'correct!horse-battery' >/dev/null &
    started+=($!)
    cache="redis+unix://:correct%21horse-battery@$work/redis"
    until_true ferry cache set watched-key first --cache "$cache"
    for way in argument environment; do
        : >values
        if [ "$way" = argument ]; then
            start cache watch watched-key --cache "$cache" >values 2>&1
        else
            FERRY_CACHE=$cache start cache watch watched-key >values 2>&1
        fi
        until_true grep -q first values
        look "$started_pid" watched-key 'correct!horse-battery' 'correct%21horse-battery' 'horse-battery'
    done
    start broker --bind "ipc://$work/kept" --store "$cache" >kept.log 2>&1
    until_true ferry --url "ipc://$work/kept" push kept-queue body
    look "$started_pid" kept-queue 'correct!horse-battery' 'correct%21horse-battery' 'horse-battery'
    printf '%s\n' 'horse-battery' >secrets
    equal '' "$(found_in secrets kept.log)" 'secrets in the log of a broker with --store'
else
    echo 'there is no redis-server: its password is not looked for'
fi
done_testing
