// expect: error: 'a-b' cannot be a name in C
// expect: error: '' cannot be a name in C
// expect: error: '1x' cannot be a name in C
// expect: error: 'c.name' needs a name
struct A { 1: i32 x (c.name = "a-b") }
enum E { V (c.name = "") }
service S { void m() (c.name = "1x") }
struct C { 1: i32 y (c.name) }
