// expect: error: 'A' no longer has the field 'goes'
// expect: error: 'grows' changed from i32 to i64
// expect: error: 'hardens' is mandatory now
// expect: error: 'softens' may be absent now
// expect: error: the field 'renamed' was renamed to 'other'
// expect: error: the new field 'must' is mandatory
// expect: warning: the default of 'd' has changed
// expect: error: the union 'U' no longer has 'b'
// expect: error: 'Y' changed from 2 to 5
// expect: error: the enum 'E' no longer has 'Z'
// expect: warning: programs with the old interface do not know 'c'
// expect: warning: programs with the old interface have no name for 'W'
// expect-not: 'keeps'
// expect-not: 'leaves'
// expect-not: 'may'
namespace * fields
struct A { 1: i32 keeps, 4: i64 grows, 5: i32 hardens, 6: optional i32 softens, 7: i32 other, 8: i32 d = 2, 9: i32 must, 10: optional i32 may, 11: i32 with = 3 }
union U { 1: i32 a, 3: i32 c }
enum E { X = 1, Y = 5, W = 9 }
