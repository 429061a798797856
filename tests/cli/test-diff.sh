#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# ferry-idl diff FILE --live URL, against services that run: test-diff.sh FERRY SERVER IDL CALC.THRIFT
server=$(readlink -f "$2") idl=$(readlink -f "$3") calc=$(readlink -f "$4")
source "$(dirname "$0")/lib.sh" "$1"
PATH="$(dirname "$ferry_binary"):$PATH"
cd "$work"
live() { "$idl" diff "$1" --live "$FERRY_URL"; }
change() { sed "$2" "$calc" >"$1"; cmp -s "$1" "$calc" && failed "sed changes nothing: $2"; }

# No broker, and wrong usage
expect 2 '' 'no broker listens' live "$calc"
expect 2 '' 'diff needs one FILE and --live URL' "$idl" diff "$calc"
expect 2 '' 'diff needs one FILE and --live URL' "$idl" diff "$calc" "$calc" --live "$FERRY_URL"
expect 2 '' "cannot run 'ferry'" env PATH=/nowhere "$idl" diff "$calc" --live "$FERRY_URL"

start_broker
expect 2 '' "there is no service 'calc.Calc'" live "$calc"
"$server" &
started+=($!)
until_true ferry services calc.Calc

# The same, in other words: order and documentation do not matter
expect 0 'callers of the running services can use this file' '' live "$calc"
change other.thrift 's/Whole-number division/Integer division/; s/enum Rounding { DOWN = 1, UP = 2 }/enum Rounding { UP = 2, DOWN = 1 }/'
expect 0 '*' '' live other.thrift
"$idl" format "$calc" >canonical.thrift
expect 0 '*' '' live canonical.thrift
ferry describe calc.Calc --idl >described.thrift
expect 0 '*' '' live described.thrift

# Additions, which callers of the old interface do not notice
change more.thrift 's/^  i32 unserved()/&\n  i32 brand_new(1: i32 x)/; s/3: optional i32 step/&, 4: optional i32 more, 5: i32 last = 7/; s/UP = 2/&, NEAREST = 3/'
expect 0 'callers of the running services can use this file' '' live more.thrift
change added.thrift 's/i64 add(1: i32 a, 2: i32 b)/i64 add(1: i32 a, 2: i32 b, 3: optional i32 c)/'
expect 0 '*' '' live added.thrift
change throws.thrift 's/i64 add(1: i32 a, 2: i32 b)/& throws (1: DivisionByZero e)/'
expect 0 '*' "warning: callers with the old interface do not know 'DivisionByZero'" live throws.thrift

# Breaking changes, each with its place
breaks() { # SED MESSAGE
    change breaks.thrift "$1"
    expect 1 '' "^breaks.thrift:[0-9]*:[0-9]*: error: $2" live breaks.thrift
}
breaks 's/i64 add(1: i32 a/i64 add(1: i64 a/' "argument 1 of 'add' changed from i32 to i64"
breaks 's/i64 add(1: i32 a, 2: i32 b)/i64 add(1: i32 a, 2: i32 b, 3: i32 c)/' "callers with the old interface do not send 'c'"
breaks 's/i64 div(/i32 div(/' "the result of 'div' changed from i64 to i32"
breaks '/^  void nothing()/d' "'Calc' no longer has the method 'nothing'"
breaks 's/2: i32 high, //' "'Range' no longer has the field 'high'"
breaks 's/3: optional i32 step/3: i32 step/' "'step' is mandatory now"
breaks 's/DOWN = 1/DOWN = 5/' "'DOWN' changed from 1 to 5"
breaks 's/stream<i32> numbers/stream<i64> numbers/' "the stream that 'sum' takes changed from stream<i32> to stream<i64>"
breaks 's/stream<i32> count(/i32 count(/' "the result of 'count' changed from stream<i32> to i32"
breaks 's/^  void nothing()/  oneway void nothing()/' "'nothing' is oneway now"

# Types of included files are the same types
sed -n '1,/^enum/p' "$calc" >shared.thrift
{ echo 'include "shared.thrift"'; echo 'namespace * calc'; sed -n '/^\/\*\* Sums/,$p' "$calc" |
    sed 's/\b\(Range\|Rounding\|DivisionByZero\)\b/shared.\1/g'; } >parts.thrift
expect 0 'callers of the running services can use this file' '' live parts.thrift
sed -i 's/2: i32 high, //' shared.thrift
expect 1 '' "^shared.thrift:.*'Range' no longer has the field 'high'" live parts.thrift

# The description of a service has the included types, too: no false alarms
mkdir apart
cp "$calc" apart/shared.thrift
sed -i 's/^namespace.*/namespace * shared/; /^\/\*\* Sums/,$d' apart/shared.thrift
cp parts.thrift apart/calc.thrift
sed 's/^include.*//; s/shared\.//g' parts.thrift >apart/service
{ echo 'namespace * calc'; sed -n '/^exception/p; /^struct Range/p; /^enum/p' "$calc" |
    sed 's/^\(exception \([A-Za-z]*\) .*\|struct \([A-Za-z]*\) .*\|enum \([A-Za-z]*\) .*\)/\1 (wire.name = "shared.\2\3\4")/'; \
    sed -n '/^service/,$p' apart/service; } >apart/described.thrift
expect 0 'no breaking changes' '' "$idl" check apart/described.thrift apart/calc.thrift
sed -i 's/2: i32 high, //' apart/shared.thrift
expect 1 '' "^apart/shared.thrift:.*'Range' no longer has the field 'high'" "$idl" check apart/described.thrift apart/calc.thrift

# Services that cannot be compared are errors
start serve demo.Echo.say --echo
until_true ferry services demo.Echo
printf 'namespace * demo\nservice Echo { string say(1: string s) }\n' >echo.thrift
expect 2 '' "'demo.Echo' sent no interface" live echo.thrift
{ cat "$calc"; echo 'service Absent { void m() }'; } >two.thrift
expect 2 '' "there is no service 'calc.Absent'" live two.thrift
{ sed 's/i64 div(/i32 div(/' "$calc"; echo 'service Absent { void m() }'; } >worse.thrift
expect 2 '' "the result of 'div' changed from i64 to i32" live worse.thrift
echo 'struct Alone { 1: i32 x }' >alone.thrift
expect 2 '' "'alone.thrift' has no service to compare" live alone.thrift
echo 'struct {' >wrong.thrift
expect 1 '' '^wrong.thrift:1:8: error' live wrong.thrift

# The broker's own service is compared like any other.
expect 0 '*' '' live "$(dirname "$calc")/../../../broker/admin/ferry-broker.thrift"
done_testing
