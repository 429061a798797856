namespace * before
exception X { 1: i32 a }
service S { void m() throws (1: X x) }
struct T { 1: i32 a }
enum E { A }
