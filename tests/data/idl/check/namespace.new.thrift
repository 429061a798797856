// expect: error: the wire name of 'X' changed from 'before.X' to 'after.X'
// expect: error: the wire name of 'S' changed from 'before.S' to 'after.S'
// expect-not: 'T'
// expect-not: 'E'
namespace * after
exception X { 1: i32 a }
service S { void m() throws (1: X x) }
struct T { 1: i32 a }
enum E { A }
