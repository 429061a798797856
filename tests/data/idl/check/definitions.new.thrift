// expect: error: 'B' is named 'BB' now
// expect: error: 'C' was 3, and is 5 now
// expect: error: the enum 'E' has no 'D' any more
// expect: warning: those who know the old interface have no name for 'F'
// expect: error: the field 'b' is named 'bb' now
// expect: error: 'c' was string, and is binary now
// expect: warning: for those who know the old interface 'd' is nothing
// expect: error: 'a' was i32, and is i16 now
// expect: error: 'b' must be there now
// expect: error: 'c' may be absent now
// expect: warning: the default of 'd' has changed
// expect: error: the field 'e' is named 'ee' now
// expect: hint: on the wire a field is known by its name
// expect: error: 'f' must be there now
// expect: error: 'S' has no field 'g' any more
// expect: warning: the number of 'again' was another field's
// expect: error: the new field 'must' must be there
// expect: error: the struct 'BecomesUnion' is gone
// expect: error: the exception 'Gone' is gone
// expect: error: the struct 'Dropped' is gone
// expect: error: 'Number' was i32, and is i64 now
// expect: error: the typedef 'Numbers' is gone
// expect: warning: the constant 'LIMIT' has another value now
// expect: warning: the constant 'LIST' has another value now
// expect: error: 'KIND' was i32, and is string now
// expect: error: the constant 'LOST' is gone
// expect: error: the enum 'Lost' is gone
// expect-not: SAME
// expect-not: 'may'
// expect-not: 'reused' has no
namespace * definitions
enum E { A = 1, BB = 2, C = 5, F = 6 }
union U { 1: i32 a, 2: i32 bb, 3: binary c, 4: i32 d }
struct S { 1: i16 a, 2: i32 b, 3: optional i32 c, 4: list<i32> d = [2], 5: i32 ee, 6: i32 f, 8: i32 must, 10: i32 reused, 9: optional i32 again, 11: optional i32 may }
union BecomesUnion { 1: i32 a }
typedef i64 Number
const i32 LIMIT = 6
const list<i32> LIST = [1, 3]
const map<string, S> SAME = {'a': {"a": ONE}}
const i16 ONE = 0x1
const string KIND = "1"
