// expect: error: on the wire 'X' was named 'before.X', and is 'after.X' now
// expect: error: on the wire 'S' was named 'before.S', and is 'after.S' now
// expect-not: 'T'
// expect-not: 'E'
namespace * after
exception X { 1: i32 a }
service S { void m() throws (1: X x) }
struct T { 1: i32 a }
enum E { A }
