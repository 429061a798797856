#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The walk from one broker to three in docs/scaling.md, word for word: test-scaling.sh FERRY SCALING.md. The machines a, b
# and c are addresses in a network namespace, which ends with this test.
page=$2
source "$(dirname "$0")/lib.sh" "$1"
source "$(dirname "$0")/walk.sh"
command -v redis-server >/dev/null && command -v redis-cli >/dev/null || { echo 'skipped: there is no Redis'; exit 77; }

unset FERRY_URL FERRY_KEY FERRY_SERVER_KEY FERRY_CONTEXT
mkdir "$work/bin" "$work/redis-a" "$work/redis-b" "$work/redis-c"
ln -s "$ferry_binary" "$work/bin/ferry"
export PATH="$work/bin:$PATH" PS4=
unshare -n sleep 600 &
net=$!
started+=("$net")
until_true bash -c "[ \"\$(readlink /proc/$net/ns/net)\" != \"\$(readlink /proc/self/ns/net)\" ]" ||
    { echo 'skipped: no network namespaces'; exit 77; }
inside() { nsenter -t "$net" -n "$@"; }
inside ip link set lo up || { echo 'skipped: no loopback interface'; exit 77; }
for i in 1 2 3; do inside ip address add "10.0.0.$i/32" dev lo; done

# The folders of the page are folders of this test.
placed() { sed "s,/var/lib/,$work/,g"; }

# The processes that each machine has in the background, in their order: %1, %2.
declare -A jobs
is_silent() { ! inside ferry ping --url "$1"; }
run_as() { # PROMPT COMMAND
    local machine=${1%?} pid log pids
    : >"$work/got"
    case "$2" in
    'export '*) export "${2#export }" ;;
    *' &')
        log=$work/$machine-$n_commands.log
        nsenter -t "$net" -n bash -c "exec ${2% &}" >"$log" 2>&1 &
        started+=($!)
        jobs[$machine]+=" $!"
        case "$2" in
        *redis-server*) until_true inside redis-cli -h "10.0.0.$(($(printf %d "'$machine") - 96))" -p 7000 ping ;;
        *--store*) until_true grep -q 'ready$\|waiting: ' "$log" ;;
        *) until_true inside ferry ping --url "$(sed 's/.*--bind \([^ ]*\).*/\1/' <<<"$2")" ;;
        esac ;;
    'kill '*)
        read -ra pids <<<"${jobs[$machine]}"
        pid=${pids[${2##*%} - 1]}
        kill $(sed -n 's/^kill \(-[0-9]*\) .*/\1/p' <<<"$2") "$pid"
        wait "$pid" 2>/dev/null ;;
    *) inside timeout -k 5 120 bash -c "$2" >"$work/got" 2>&1 </dev/null ;;
    esac
}

walk 'From one broker to three, with a Redis Cluster' "$page"
equal 13 "$n_commands" 'ten commands from one broker to three, and three that show it'
done_testing
