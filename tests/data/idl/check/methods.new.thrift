// expect: error: callers with the old interface do not send 'c'
// expect: error: 'sub' no longer has the argument 'b'
// expect: error: 'S' no longer has the method 'gone'
// expect: error: 'shout' was oneway
// expect: error: the result of 'flow' changed from stream<i32> to list<i32>
// expect: error: the service 'Gone' was removed
// expect: warning: 'same' was idempotent
// expect: warning: callers with the old interface do not know 'X'
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
