// expect: n_unclosed.thrift:5:1: error: expected '}', got 'struct'
// expect: error: expected '}' before the end of the file
struct A {
  1: i32 a
struct B { 1: i32 b }
service S {
  void a()
