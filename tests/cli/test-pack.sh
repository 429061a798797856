#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# --pack and --unpack: bodies of generated code, as JSON on the command line.
source "$(dirname "$0")/lib.sh" "$1"
start_broker
subscribed() { ferry topics | grep -q -F -e "$1"; }
cat >"$work/money.thrift" <<'END'
namespace * shop
enum Currency { EUR = 1, USD = 2 }
struct Price { 1: i64 cents, 2: Currency currency = Currency.EUR }
END
cat >"$work/orders.thrift" <<'END'
include "money.thrift"
namespace * shop
typedef list<Order> Orders
exception Refused { 1: string why }
union Way { 1: string street, 2: i32 box }
/** It contains itself. */
struct Order {
  1: i32 id
  2: optional string note
  3: optional list<Order> parts
  4: optional money.Price price
  5: optional map<string, binary> files
  6: optional Way way
}
END
order="$work/orders.thrift:Order"
full='{"id": 7, "note": "größe", "parts": [{"id": 8}], "price": {"cents": 1250, "currency": "USD"}, "files": {"a": "text"}, "way": {"box": 3}}'

# Packing and unpacking: the body is MessagePack, as generated code sees it, and the output is JSON
expect 0 '*' '' ferry push orders "$full" --pack "$order"
expect 0 '*' '' ferry queue peek orders --unpack "$order" --json
grep -q -F -e "\"body\": $full" "$work/out" || failed 'queue peek --unpack --json' "$work/out"
expect 0 '*' '' ferry queue peek orders --unpack "$order"
grep -q -F -e "$full" "$work/out" || failed 'queue peek --unpack' "$work/out"
expect 0 '*' '' ferry queue peek orders --unpack any
grep -q '"currency": 2' "$work/out" || failed 'any type: the number of an enum' "$work/out"
expect 0 "$full" '' ferry work orders --count 1 --unpack "$order"

# Lines, commands, and the next queue
printf '{"id": 1}\n{"id": 2}\n' | ferry push lines - --pack "$order" || failed 'pushing lines'
expect 0 "$(printf '{"id": 1}\n{"id": 2}')" '' ferry work lines --count 2 --unpack "$order" --exec cat
expect 0 '*' '' ferry push raw '{"id": 3}' --pack "$order"
expect 0 '' '' ferry work raw --count 1 --then cooked --unpack "$order" --exec 'sed s/3/33/' --pack "$order"
expect 0 '{"id": 33}' '' ferry work cooked --count 1 --unpack "$order"

# Topics
start sub 'shop.*' --count 2 --unpack "$order" --json >"$work/seen"
sub=$started_pid
start sub 'shop.*' --count 2 --unpack "$order" --exec 'cat' >"$work/read"
reader=$started_pid
until_true bash -c "'$ferry_binary' topics | grep -q '^shop.*2'"
expect 0 '' '' ferry pub shop.new '{"id": 4, "price": {"cents": 5}}' --pack "$order"
expect 0 '' '' ferry pub shop.new 'no order'
status_of "$sub"
status_of "$reader"
equal '{"topic": "shop.new", "seq": 1, "missed": 0, "body": {"id": 4, "price": {"cents": 5}}}
{"topic": "shop.new", "seq": 2, "missed": 0, "body": "no order"}' "$(cat "$work/seen")" 'a packed message, and another one'
equal '{"id": 4, "price": {"cents": 5}}no order' "$(tr -d '\n' <"$work/read")" 'the input of a command'

# Other types, and mistakes
expect 0 '*' '' ferry push several '[{"id": 5}, {"id": 6}]' --pack "$work/orders.thrift:Orders"
expect 0 '[{"id": 5}, {"id": 6}]' '' ferry work several --count 1 --unpack "$work/orders.thrift:Orders"
expect 0 '*' '' ferry push number 12 --pack "$work/orders.thrift:i32"
expect 0 12 '' ferry work number --count 1 --unpack any
expect 2 '' "body.id: expected i32, got" ferry push orders '{"id": "x"}' --pack "$order"
expect 2 '' "body.*idd" ferry push orders '{"id": 1, "idd": 2}' --pack "$order"
expect 2 '' 'is not JSON' ferry pub t '{"id": ' --pack "$order"
expect 2 '' 'line 2: body.id' bash -c "printf '{\"id\": 1}\n{\"id\": true}\n' | timeout -k 5 120 '$ferry_binary' push bad - --pack '$order'"
expect 2 '' "has no type 'Odrer'" ferry push orders '{}' --pack "$work/orders.thrift:Odrer"
expect 2 '' "cannot read" ferry push orders '{}' --pack "$work/nowhere.thrift:Order"
expect 2 '' 'FILE:NAME' ferry sub t --unpack Order
expect 0 '*' '' ferry push strange 'no order'
expect 0 'no order' 'does not match the type' ferry work strange --count 1 --unpack "$order"
expect 0 '*' '' ferry push strange 'no order'
expect 0 '' 'rejected' ferry work strange --count 1 --unpack "$order" --exec cat
equal 1 "$(ferry queue peek strange.dead | wc -l)" 'a job of another type is a dead letter'
done_testing
