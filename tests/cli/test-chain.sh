#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# ferry call and a failure three services deep: test-chain.sh FERRY CHAIN
chain=$2
source "$(dirname "$0")/lib.sh" "$1"
start_broker
for role in shop bank calc; do
    "$chain" --role $role "$FERRY_URL" >/dev/null &
    started+=($!)
done
for name in Shop Bank Calc; do
    until_true ferry services chain.$name
done

expect 0 50 '' ferry call chain.Shop.price 4 EUR

# Each hop has its error, place, line and fields; the root cause is the last one.
expect 7 '' '' ferry call chain.Shop.price 0 EUR
sed -E 's|on [^ ]+/[0-9]+$|on HOST/PID|; s|test-chain.c:[0-9]+|test-chain.c:LINE|' "$work/err" >"$work/told"
cat >"$work/wanted" <<'END'
ferry call: chain.NoPrice: The price cannot be told.
    in chain.Shop.price on HOST/PID
    by price at test-chain.c:LINE
    item: 0
    currency: "EUR"
caused by chain.NoRate: There is no rate.
    in chain.Bank.rate on HOST/PID
    by rate at test-chain.c:LINE
    currency: "EUR"
caused by chain.DivisionByZero: The divisor was zero.
    in chain.Calc.div on HOST/PID
    by divide at test-chain.c:LINE
    dividend: 100
END
n_checks=$((n_checks + 1))
diff "$work/wanted" "$work/told" >"$work/diff" || failed 'the backtrace' "$work/diff"
equal 3 "$(sed -nE 's|.* on [^ ]+/([0-9]+)$|\1|p' "$work/err" | sort -u | wc -l)" 'three processes'

# A server is missing at the end of the chain.
kill "${started[3]}"
until_true bash -c "! '$ferry_binary' services chain.Calc >/dev/null 2>&1"
expect 6 '' "NoSuchService: no server offers 'chain.Calc'" ferry call chain.Shop.price 4 EUR
equal 2 "$(grep -c '^caused by ferry.NoSuchService' "$work/err")" 'causes of a missing server'
equal 2 "$(grep -c '^    by .* at test-chain.c' "$work/err")" 'places of a missing server'
done_testing
