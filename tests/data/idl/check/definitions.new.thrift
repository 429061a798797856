// expect: error: 'B' was renamed to 'BB'
// expect: error: 'C' changed from 3 to 5
// expect: error: the enum 'E' no longer has 'D'
// expect: warning: programs with the old interface have no name for 'F'
// expect: error: the field 'b' was renamed to 'bb'
// expect: error: 'c' changed from string to binary
// expect: warning: programs with the old interface do not know 'd'
// expect: error: 'a' changed from i32 to i16
// expect: error: 'b' is mandatory now
// expect: error: 'c' may be absent now
// expect: warning: the default of 'd' has changed
// expect: error: the field 'e' was renamed to 'ee'
// expect: hint: the wire identifies a field by its name
// expect: error: 'f' is mandatory now
// expect: error: 'S' no longer has the field 'g'
// expect: warning: the number of 'again' belonged to another field
// expect: error: the new field 'must' is mandatory
// expect: error: the struct 'BecomesUnion' was removed
// expect: error: the exception 'Gone' was removed
// expect: error: the struct 'Dropped' was removed
// expect: error: 'Number' changed from i32 to i64
// expect: error: the typedef 'Numbers' was removed
// expect: warning: the constant 'LIMIT' has another value now
// expect: warning: the constant 'LIST' has another value now
// expect: error: 'KIND' changed from i32 to string
// expect: error: the constant 'LOST' was removed
// expect: error: the enum 'Lost' was removed
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
