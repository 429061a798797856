// expect: error: only an exception can be thrown
struct S { 1: i32 a }
service T { void a() throws (1: S s), void b() throws (1: i32 n) }
