// expect: error: a stream can only be the argument or the result of a method
// expect: error: a method takes at most one stream
// expect: error: a stream has no default and is never absent
// expect: error: 'cache.ttl' needs a result, and no stream
struct S { 1: stream<i32> a }
typedef stream<i32> T
const stream<i32> C = []
service U {
  list<stream<i32>> a()
  void b(1: stream<i32> x, 2: stream<i32> y)
  void c(1: optional stream<i32> x)
  stream<i32> d() (cache.ttl = "1s")
  stream<stream<i32>> e()
}
