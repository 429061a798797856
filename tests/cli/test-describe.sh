#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# ferry describe, and ferry call of a service that describes itself: test-describe.sh FERRY SERVER IDL
server=$2 idl=$3
source "$(dirname "$0")/lib.sh" "$1"
start_broker
"$server" &
started+=($!)
until_true ferry services calc.Calc
start serve demo.Echo.say --echo
until_true ferry services demo.Echo

# The description
expect 0 '*' '' ferry describe calc.Calc
for text in the-one 'service Calc {' '/** Whole-number division. */' 'exception DivisionByZero {' \
    'i64 add(1: i32 a, 2: i32 b) (idempotent = "true")' \
    'i64 div(1: i32 a, 2: i32 b) throws (1: DivisionByZero by_zero)' \
    'list<i32> squares(1: Range range) (timeout = "2s")' \
    'i32 random() (cache.ttl = "30s")' 'oneway void note(1: string text)' \
    'Rounding opposite(1: Rounding rounding) (deprecated = "there are more than two")'; do
    grep -q -F -e "$text" "$work/out" || failed "ferry describe tells: $text" "$work/out"
done
ferry describe calc.Calc --idl >"$work/calc.thrift"
grep -q 'stream<Range> shift(1: i32 by, stream<Range> ranges) (timeout' "$work/calc.thrift" ||
    failed 'a stream keeps its name' "$work/calc.thrift"
mkdir "$work/made"
expect 0 '*' '' "$idl" -o "$work/made" "$work/calc.thrift"
expect 0 '*' '' ferry describe calc.Calc --json
python3 - "$work/out" <<'END' || failed 'ferry describe --json' "$work/out"
import json, sys
said = json.load(open(sys.argv[1]))
assert said["name"] == "calc.Calc"
assert said["instances"][0]["instance"] == "the-one" and said["instances"][0]["slots"] == 8
methods = {m["name"]: m for m in said["description"]["methods"]}
div = methods["div"]
assert div["doc"] == "Whole-number division.", div
assert [f["name"] for f in div["args"]] == ["a", "b"]
assert [(f["name"], f["type"]) for f in div["throws"]] == [("by_zero", "calc.DivisionByZero")]
assert methods["add"]["idempotent"] is True and "idempotent" not in div
assert methods["squares"]["timeout_ms"] == 2000 and methods["random"]["cache_ttl_ms"] == 30000
assert ["deprecated", "there are more than two"] in methods["opposite"]["annotations"]
assert methods["sum"]["stream_in"] == "i32" and methods["count"]["stream_out"] == "i32"
assert methods["shift"]["stream_in"] == methods["shift"]["stream_out"] == "calc.Range"
END
expect 0 '*' 'does not describe its methods' ferry describe demo.Echo
expect 1 '' 'sent no interface' ferry describe demo.Echo --idl
expect 6 '' "did you mean 'calc.Calc'" ferry describe calc.Clac

# Arguments in order, by name, as one object, and completed
expect 0 5 '' ferry call calc.Calc.add 2 3
expect 0 5 '' ferry call calc.Calc.add b=3 a=2
expect 0 5 '' ferry call calc.Calc.add 2 b=3
expect 0 5 '' ferry call calc.Calc.add '{"a": 2, "b": 3}'
expect 0 26 '' ferry call calc.Calc.add 0x10 10
expect 0 '[1, 4, 9]' '' ferry call calc.Calc.squares '{"low": 1, "high": 3}'
expect 0 '[1, 9]' '' ferry call calc.Calc.squares 'range={"low": 1, "high": 3, "step": 2}'
expect 0 '{"low": 0, "high": 10}' '' ferry call calc.Calc.widen '{"low": 1, "high": 9}'
expect 0 '"UP"' "'calc.Calc.opposite' is deprecated: there are more than two" ferry call calc.Calc.opposite DOWN
expect 0 '"DOWN"' '' ferry call calc.Calc.opposite rounding=2
expect 0 '"hello there"' '' ferry call calc.Calc.say 'hello there'
expect 0 '"42!"' '' ferry call calc.Calc.say 42 after=!
expect 0 '"quoted"' '' ferry call calc.Calc.say '"quoted"' null
expect 0 null '' ferry call calc.Calc.nothing
expect 0 '' '' ferry call calc.Calc.note 'nobody answers'
echo '{"low": 2, "high": 2}' >"$work/range"
expect 0 '[4]' '' ferry call calc.Calc.squares "@$work/range"
expect 0 '[4]' '' ferry call calc.Calc.squares "range=@$work/range"
expect 0 '[4]' '' bash -c "timeout -k 5 120 '$ferry_binary' call calc.Calc.squares - <'$work/range'"

# A template of the arguments, which can be sent
for method in add squares widen say opposite; do
    ferry call calc.Calc.$method --template >"$work/template"
    expect 0 '*' '' ferry call calc.Calc.$method "@$work/template"
done
expect 0 '{"a": 0, "b": 0}' '' ferry call calc.Calc.add --template
expect 0 '{"text": "", "after": null}' '' ferry call calc.Calc.say --template
expect 0 '{"range": {"low": 0, "high": 0, "step": null}}' '' ferry call calc.Calc.squares --template
expect 1 '' 'no template' ferry call demo.Echo.say --template

# Wrong arguments are refused before the call: with the place, and a suggestion
expect 6 '' "no method 'ad'" ferry call calc.Calc.ad 2 3
grep -q "did you mean 'calc.Calc.add'" "$work/err" || failed 'the method that was meant' "$work/err"
expect 2 '' 'ferry.InvalidArgument.*args.b' ferry call calc.Calc.add 2
expect 2 '' 'args.b: expected i32, got "three"' ferry call calc.Calc.add 2 three
expect 2 '' 'args.a: expected i32, got 2147483648' ferry call calc.Calc.add 2147483648 1
expect 2 '' "argument 3: '3' is one too many: 'calc.Calc.add' takes 2 arguments" ferry call calc.Calc.add 1 2 3
expect 2 '' "'calc.Calc.say' takes 2 arguments: did you mean 'after='" ferry call calc.Calc.say a b af-ter=x
expect 2 '' 'args.a: given twice' ferry call calc.Calc.add 1 a=2 b=3
expect 2 '' 'args.range.low' ferry call calc.Calc.squares '{"low": "x", "high": 3}'
expect 2 '' 'args.range.high' ferry call calc.Calc.squares '{"low": 1}'
expect 2 '' "hihg" ferry call calc.Calc.squares '{"low": 1, "hihg": 3}'
expect 2 '' "textt" ferry call calc.Calc.say textt=x
expect 2 '' 'is not JSON' ferry call calc.Calc.squares '{"low": 1'
expect 2 '' 'args.rounding: expected DOWN or UP, got "SIDEWAYS"' ferry call calc.Calc.opposite SIDEWAYS
expect 2 '' "args.rounding: calc.Rounding has no 'DONW': did you mean 'DOWN'" ferry call calc.Calc.opposite DONW
expect 2 '' "args: there is no 'c'$" ferry call calc.Calc.add 1 c=2
expect 2 '' '    it takes widen(calc.Range range, optional i32 by): see .ferry describe calc.Calc., or --template' ferry call calc.Calc.widen by=1
expect 2 '' 'no arguments' ferry call calc.Calc.nothing 1
expect 2 '' 'no arguments' ferry call calc.Calc.sum 1
equal 0 "$(ferry stats calc.Calc | awk -F'\t' '$1 != "note" { n += $3 } END { print n + 0 }')" 'errors of the service'

# Without the check, the service refuses wrong arguments.
expect 2 '' 'ferry.InvalidArgument.*args' ferry call calc.Calc.add 2 '"three"' --unchecked
expect 6 '' 'ferry.NoSuchMethod: the server has no handler for this method' ferry call calc.Calc.unserved
grep -q "see 'ferry describe calc.Calc'" "$work/err" || failed 'what to do about a missing method' "$work/err"
expect 6 '' 'ferry.NoSuchMethod' ferry call calc.Calc.ad --unchecked

# Exceptions with their fields, and deadlines
expect 7 '' 'calc.DivisionByZero: The divisor was zero' ferry call calc.Calc.div 7 0
grep -q '^    dividend: 7$' "$work/err" || failed 'the fields of an exception' "$work/err"
grep -q '^    in calc.Calc.div on ' "$work/err" || failed 'where an exception comes from' "$work/err"
grep -q '^    by divide at calc-server.c:[0-9]*$' "$work/err" || failed 'the line that threw it' "$work/err"
expect 5 '' 'ferry.DeadlineExceeded' ferry call calc.Calc.doze
grep -q 'allow more time with --timeout' "$work/err" || failed 'what to do about a deadline' "$work/err"
expect 5 '' 'ferry.DeadlineExceeded' ferry call calc.Calc.doze --timeout 100ms --wait 2m
expect 6 '' '' ferry call calc.Calc.add 2 3 --instance nobody
expect 0 5 '' ferry call calc.Calc.add 2 3 --instance the-one
expect 6 '' 'no server offers' ferry call nobody.Here.add 2
expect 6 '' "did you mean 'calc.Calc'" ferry call calc.Clac.add a=2 b=3

# The broker's own service is described like any other service.
expect 0 '*' '' ferry describe ferry.Broker
for text in 'service Broker {' 'ServiceDescription describe(1: string service' 'struct QueueStatus'; do
    grep -q -F -e "$text" "$work/out" || failed "ferry describe ferry.Broker tells: $text" "$work/out"
done
# Names in C may not begin with the library's own ferry_.
ferry describe ferry.Broker --idl | sed '1a namespace c made' >"$work/broker.thrift"
expect 0 '*' '' "$idl" -o "$work/made" "$work/broker.thrift"
expect 0 '*' '' ferry describe ferry.Broker --json
grep -q '"name": *"purge"' "$work/out" || failed 'ferry describe ferry.Broker --json' "$work/out"
expect 0 '*' '' ferry call ferry.Broker.services
grep -q '"described": true' "$work/out" || failed 'results are shown' "$work/out"
expect 0 '*' '' ferry call ferry.Broker.describe calc.Calc
expect 0 '{"service": "", "instance": null}' '' ferry call ferry.Broker.describe --template
expect 2 '' 'args.queue: it is missing' ferry call ferry.Broker.peek
expect 2 '' 'args.limit' ferry call ferry.Broker.peek mail limit=ten
expect 2 '' 'args.limit: cannot be negative' ferry call ferry.Broker.peek mail limit=-1
expect 2 '' 'args.queue: expected string, got int' ferry call ferry.Broker.peek 1 --unchecked
expect 6 '' "there is no queue 'nobody'" ferry call ferry.Broker.peek nobody
expect 6 '' "did you mean 'ferry.Broker.queues'" ferry call ferry.Broker.queus
expect 6 '' "has no instance 'second'" ferry call ferry.Broker.queues --instance second
expect 0 '*' '' ferry ping ferry.Broker
expect 6 '' "did you mean 'calc.Calc'" ferry stats calc.Clac

# Streams: items in from standard input, items out to standard output, a line each
into() { printf '%b' "$1" | ferry "${@:2}"; } # TEXT COMMAND...: with the text on standard input
for text in 'i64 sum(stream<i32> ' 'stream<i32> count(1: i32 from, 2: i32 to) throws (1: DivisionByZero by_zero)' \
    'stream<Range> shift(1: i32 by, stream<Range> ' '(timeout = "400ms")'; do
    ferry describe calc.Calc | grep -q -F -e "$text" || failed "ferry describe tells: $text"
done
expect 0 6 '' into '1\n2\n0x3\n' call calc.Calc.sum
expect 0 6 '' into '1\n2\n3' call calc.Calc.sum
expect 0 0 '' into '' call calc.Calc.sum
seq 100000 >"$work/numbers"
expect 0 5000050000 '' bash -c "timeout -k 5 120 '$ferry_binary' call calc.Calc.sum <'$work/numbers'"
expect 0 "$(printf '3\n4\n5')" '' ferry call calc.Calc.count 3 to=5
expect 0 '' '' ferry call calc.Calc.count 5 3
equal 999 "$(ferry call calc.Calc.count 1 999 | wc -l)" 'items from a stream'
expect 0 "$(printf '{"low": 6, "high": 7}\n{"low": 7, "high": 8, "step": 2}')" '' \
    into '{"low": 1, "high": 2}\n{"low": 2, "high": 3, "step": 2}\n' call calc.Calc.shift 5
equal '01 02' "$(ferry call calc.Calc.count 1 2 --raw | od -An -tx1 | xargs)" 'raw items'
expect 0 '{"by": 0}' 'items are read from standard input, one per line: calc.Range' ferry call calc.Calc.shift --template
equal 1 "$(ferry call calc.Calc.count 1 900 | head -1)" 'a reader that has enough'
# Errors: of the server in the middle of a stream, of a line, of time limits, of the command line
expect 7 "$(printf '998\n999')" 'calc.DivisionByZero' ferry call calc.Calc.count 998 2000
grep -q '^    dividend: 1000$' "$work/err" || failed 'the fields of an exception in mid-stream' "$work/err"
expect 2 '' 'standard input, line 2: item: expected i32, got' into '1\nx\n' call calc.Calc.sum
expect 2 '' 'line 1: item: there is no .hihg.: did you mean .high.' into '{"low": 1, "hihg": 2}\n' call calc.Calc.shift 5
expect 2 '' 'line 1: item: .* is not JSON' into '{"low"\n' call calc.Calc.shift 5
expect 5 '*' 'DeadlineExceeded: no item came on the stream for 400 ms' into '{"low": 0, "high": 1}\n' call calc.Calc.shift 5
expect 5 '{"low": 5, "high": 6}' 'for 10000 ms' into '{"low": 0, "high": 1}\n' call calc.Calc.shift 5 --timeout 10s
expect 2 '' 'args.to' ferry call calc.Calc.count 1
expect 2 '' 'standard input is for the items' into '1' call calc.Calc.shift -
expect 2 '' '--count is for methods that answer once' ferry call calc.Calc.count 1 2 --count 2
expect 6 '' 'has no instance' ferry call calc.Calc.count 1 2 --instance nobody
expect 2 '' 'the method has a stream, but the call opened none' ferry call calc.Calc.count 1 2 --unchecked
expect 0 "$(printf '1\n2')" '' ferry call calc.Calc.count 1 2 --unchecked --stream out
expect 0 3 '' into '1\n2\n' call calc.Calc.sum --unchecked --stream in
expect 2 '' "'up' is not one of in|out|both" ferry call calc.Calc.sum --stream up

# Each instance, each method
FERRY_INSTANCE=the-other "$server" &
started+=($!)
until_true bash -c "'$ferry_binary' services calc.Calc | grep -q '^calc.Calc.2'"
expect 0 '*' '' ferry ping calc.Calc
equal 'the-one the-other' "$(grep -P '^[a-z-]+\t[0-9]+\.[0-9]{3}$' "$work/out" | cut -f1 | sort | xargs)" 'a round trip each'
expect 0 '*' '' ferry ping calc.Calc --json
equal 2 "$(grep -c '^{"instance": "the-[a-z]*", "us": [0-9]*}$' "$work/out")" 'round trips in JSON'
expect 0 '"the-one"' '' ferry call calc.Calc.who --instance the-one
expect 0 '"the-other"' '' ferry call calc.Calc.who --instance the-other
expect 6 '' "has no instance 'the-third'" ferry call calc.Calc.who --instance the-third
grep -q "see 'ferry describe calc.Calc'" "$work/err" || failed 'where the instances are' "$work/err"
expect 7 '' '' ferry call calc.Calc.div 1 0 --instance the-other
expect 0 '*' '' ferry stats calc.Calc
row='^div\t[2-9]\t[2-9]\t[0-9]+\t[0-9]+\tcalc\.DivisionByZero$'
grep -qP "$row" "$work/out" || failed 'calls, errors, p50, p99, the last error' "$work/out"
grep -qP '^add\t[0-9]+\t[0-9]+\t[1-9][0-9]*\t[1-9][0-9]*\t' "$work/out" || failed 'statistics of add' "$work/out"
expect 0 '*' '' ferry stats calc.Calc --json
python3 - "$work/out" <<'END' || failed 'ferry stats --json' "$work/out"
import json, sys
rows = {}
for line in open(sys.argv[1]):
    row = json.loads(line.strip().strip("[],")) if line.strip(" []\n") else None
    if row: rows[row["method"]] = row
assert rows["div"]["last_error"] == "calc.DivisionByZero" and rows["div"]["errors"] == rows["div"]["calls"], rows
assert rows["who"]["calls"] == 2 and rows["who"]["errors"] == 0 and rows["who"]["last_error"] == "", rows
assert 0 < rows["add"]["p50_us"] <= rows["add"]["p99_us"], rows
END

# Words for the shell
completed() { ferry __complete --wait 2m -- "$@" | tr '\n' ' '; }
equal 'calc.Calc.div calc.Calc.doze ' "$(completed call calc.Calc.d)" 'methods'
equal 'ferry.Broker.pause ferry.Broker.peek ferry.Broker.purge ' "$(completed call ferry.Broker.p | tr ' ' '\n' | sort | xargs -n1 | tr '\n' ' ')" 'methods of the broker'
equal 'queue= limit= ' "$(completed call ferry.Broker.peek '')" 'arguments of the broker'
equal 'a= b= ' "$(completed call calc.Calc.add '')" 'arguments'
equal 'b= ' "$(completed call calc.Calc.add 1 b)" 'arguments by their first letter'
done_testing
