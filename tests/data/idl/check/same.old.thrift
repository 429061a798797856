namespace * same
struct A { 1: i32 a }
typedef i32 T
service S { T m(1: A a, 2: optional T t) }
