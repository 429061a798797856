#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A user's first day: a small shop, written from README.md and docs/guide.md alone. Broker, servers, packers and
# cache are killed and started again while customers buy: no confirmed order is lost, no price is stale, and the messages
# say what is wrong. test-first-day.sh SOURCE-FOLDER BUILD-FOLDER
source=$1
stage=$(mktemp -d)
source "$(dirname "$0")/installed.sh" "$2" "$stage"
source "$(dirname "$0")/lib.sh" "$prefix/bin/ferry"
trap 'finish; rm -rf "$stage"' EXIT
command -v redis-server >/dev/null || { echo 'skipped: no redis-server'; exit 77; }

cp "$source"/tests/cli/first-day/* "$work"
cd "$work" || exit 1
expect 0 '' '' ferry-idl shop.thrift
for program in server packer customer; do
    # shellcheck disable=SC2046
    expect 0 '' '' cc -std=c11 -Wall -Wextra -Werror -o $program $program.c shop.c $(pkg-config --cflags --libs ferry)
done

cache="redis+unix://$work/redis"
echo 100 >price
background() { # NAME COMMAND...: its process is $started_pid, its errors are in NAME.err
    local name=$1
    shift
    "$@" 2>>"$name.err" &
    started_pid=$!
    started+=("$started_pid")
}
begin_broker() { background broker ferry-broker; broker=$started_pid; }
ferry-broker() { exec "$ferry_binary" broker --bind "$FERRY_URL" --data "$work/data" --log-level warning; }
begin_redis() { background redis redis-server --port 0 --unixsocket "$work/redis" --save '' --loglevel warning >/dev/null; redis=$started_pid; }
begin_server() { background server ./server price "$cache"; server=$started_pid; }
begin_packer() { background packer ./packer book; packer=$started_pid; }
kill_hard() { kill -9 "$1" && wait "$1" 2>/dev/null; }

# ---- before anything runs, each message says what is missing ----
expect 1 '' "^ferry.NotConnected: .*$work/broker" ./customer "$cache" price
begin_broker
until_true ferry ping
expect 6 '' "no server offers 'shop.Shop'" ferry call shop.Shop.price '"teapot"'

# ---- the shop opens ----
begin_redis
begin_server
begin_packer
"$ferry_binary" sub 'orders.>' --unpack shop.thrift:Order >board 2>board.err &
started+=("$!")
until_true ./customer "$cache" price
expect 0 100 '' ./customer "$cache" price
expect 7 '' 'shop.OutOfStock' "$ferry_binary" call shop.Shop.buy '{"number": 1, "item": "teapot", "amount": 5000}'

# ---- customers buy, and everything is killed in turn ----
buy() { ./customer "$cache" buy "$1" "$2" >>"confirmed.$1" 2>>customer.err; }
customers=()
for first in 1000 2000 3000; do
    (next=$first
        # Until all are confirmed: a customer repeats an order that failed.
        until buy "$next" $((first + 99)); do
            last=$(tail -n 1 "confirmed.$first")
            cat "confirmed.$next" >>"confirmed.$first" 2>/dev/null
            next=$((last + 1))
            sleep 0.1
        done) &
    customers+=("$!")
done
confirmed() { [ "$(cat confirmed.* 2>/dev/null | sort -n | uniq | wc -l)" -ge "$1" ]; }
until_true confirmed 30
kill_hard "$broker"; begin_broker
until_true confirmed 80
kill_hard "$server"; begin_server
until_true confirmed 130
kill_hard "$packer"; begin_packer
until_true confirmed 170
kill_hard "$redis"; rm -f redis; begin_redis
until_true confirmed 200
until_true ferry ping shop.Shop # stopped before it has found the broker, a server reports that there is no broker
kill "$server"; status_of "$server"; begin_server
kill_hard "$broker"; begin_broker
for customer in "${customers[@]}"; do wait "$customer"; done

# ---- no order is lost ----
all_packed() { [ "$(cut -d' ' -f1 book | sort -n | uniq | wc -l)" -eq 300 ]; }
until_true all_packed
equal 300 "$(cut -d' ' -f1 book | sort -n | uniq | wc -l)" 'orders that were packed'
equal '' "$(ferry queue list --json | grep -o '"pack.dead".*')" 'dead letters'

# The board missed messages that were published while it or the broker was away, and reports that.
n_seen=$(grep -o '"number": *[0-9]*' board | sort -u | wc -l)
n_checks=$((n_checks + 1))
[ "$n_seen" -ge 1 ] || failed "the board shows $n_seen of 300 orders" board.err
equal '' "$(grep -v -E '^ferry sub: .*(missed|lost|connected|waiting|reconnect)' board.err)" 'messages of the board'

# ---- no price is stale ----
for cents in 120 130 140; do
    expect 0 '' '' ./customer "$cache" raise "$cents"
    expect 0 "$cents" '' ./customer "$cache" price
    kill_hard "$server"; begin_server
    expect 0 "$cents" '' ./customer "$cache" price
done
kill_hard "$redis"; rm -f redis
expect 0 140 '' ./customer "$cache" price # the cache is an aid, not a need

# ---- each message has the name of its program and describes the event ----
unclear=$(grep -v -E '^(order [0-9]+: )?ferry\.(ConnectionLost|ServerLost|NotConnected|NoSuchService|DeadlineExceeded|Draining): .|^    ' customer.err)
equal '' "$unclear" 'messages to customers'
equal '' "$(grep -v -E 'warning|jobs' broker.err)" 'lines of the broker'
equal '' "$(cat server.err packer.err)" 'lines of servers and packers'
done_testing
