// expect: no breaking changes
namespace * same
struct A { 1: i32 a, 2: optional string b, 3: i32 c = 5 }
service S { i32 m(1: A a, 2: optional i32 t, 3: i32 more = 1), void n() }
typedef i32 T
