// expect: n_duplicate_ids.thrift:5:21: error: the number 1 already belongs to 'a'
// expect: error: there are two fields named 'c'
// expect: error: there are two definitions named 'A'
// expect: error: there are two methods named 'go'
struct A { 1: i32 a 1: i32 b }
struct B { 1: i32 c, 2: i32 c }
enum A { X }
service S { void go(), i32 go() }
enum E { V, V }
// expect: error: there are two values named 'V'
