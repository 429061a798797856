// expect: error: 'A' has no field 'goes' any more
// expect: error: 'grows' was i32, and is i64 now
// expect: error: 'hardens' must be there now
// expect: error: 'softens' may be absent now
// expect: error: the field 'renamed' is named 'other' now
// expect: error: the new field 'must' must be there
// expect: warning: the default of 'd' has changed
// expect: error: the union 'U' has no 'b' any more
// expect: error: 'Y' was 2, and is 5 now
// expect: error: the enum 'E' has no 'Z' any more
// expect: warning: for those who know the old interface 'c' is nothing
// expect: warning: those who know the old interface have no name for 'W'
// expect-not: 'keeps'
// expect-not: 'leaves'
// expect-not: 'may'
namespace * fields
struct A { 1: i32 keeps, 4: i64 grows, 5: i32 hardens, 6: optional i32 softens, 7: i32 other, 8: i32 d = 2, 9: i32 must, 10: optional i32 may, 11: i32 with = 3 }
union U { 1: i32 a, 3: i32 c }
enum E { X = 1, Y = 5, W = 9 }
