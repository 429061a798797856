// expect: error: callers that know the old interface do not send 'c'
// expect: error: 'sub' has no argument 'b' any more
// expect: error: 'S' has no method 'gone' any more
// expect: error: 'shout' was oneway
// expect: error: the result of 'flow' was stream<i32>, and is list<i32> now
// expect: error: the service 'Gone' is gone
// expect: warning: 'same' was idempotent
// expect: warning: callers that know the old interface do not know 'X'
// expect-not: 'inherited'
namespace * methods
exception X { 1: i32 a }
service Base { void inherited() }
service S extends Base {
  i32 add(1: i32 a, 2: i32 b, 3: i32 c)
  i32 sub(1: i32 a)
  void shout(1: string text)
  list<i32> flow()
  i32 same(1: i32 a) throws (1: X x)
  void fresh()
}
