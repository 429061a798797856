// expect: error: a oneway method has no result
// expect: error: a oneway method cannot throw
// expect: error: a oneway method cannot take a stream
exception E { 1: i32 a }
service S {
  oneway i32 a()
  oneway void b() throws (1: E e)
  oneway void c(1: stream<i32> s)
}
