// expect: n_functions.thrift:14:8: error: expected the method's name, got '('
// expect: n_functions.thrift:16:3: error: expected '(', got 'void'
// expect-not: fine
// expect: n_functions.thrift:17:21: error: expected the field's name, got ')'
// expect: n_functions.thrift:18:8: error: 'struct' is a keyword
// expect: n_functions.thrift:19:17: error: a declared name has no dots
// expect: n_functions.thrift:20:20: error: the number 1 already belongs to 'a'
// expect: n_functions.thrift:21:33: error: there are two fields named 'x'
// expect: n_functions.thrift:22:10: error: expected a type, got 'oneway'
// expect: n_functions.thrift:23:18: error: expected a type, got 'void'
exception E { }
service S {
  void fine()
  void (1: i32 a)
  void b() throws
  void "x"()
  void c(stream<i32>)
  void struct()
  void d(1: i32 x.y)
  void f(1: i32 a, 1: i32 b)
  void g() throws (1: E x, 2: E x)
  oneway oneway void h()
  void i(1: list<void> x)
  void fine_too()
}
