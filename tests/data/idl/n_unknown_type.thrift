// expect: n_unknown_type.thrift:6:13: error: there is no type 'Rnage'
// expect: hint: did you mean 'Range'?
// expect: n_unknown_type.thrift:7:8: error: there is no type 'other.Thing'
struct Range { 1: i32 low }
service S {
  void a(1: Rnage range)
  list<other.Thing> b()
}
