// expect: error: callers with the old interface do not send 'new_one'
// expect: error: 'removed' no longer has the argument 'b'
// expect: error: 'a' was argument 1 of 'swapped' and has another position now
// expect: error: 'b' was argument 2 of 'swapped' and has another position now
// expect: hint: the wire identifies an argument by its position: add new ones at the end
// expect: error: 'b' was argument 2 of 'inserted' and has another position now
// expect: error: 'c' was argument 3 of 'cut_in_the_middle' and has another position now
// expect: error: argument 1 of 'retyped' changed from i32 to string
// expect: error: argument 2 of 'retyped' changed from string to binary
// expect: error: argument 3 of 'retyped' changed from T to list<T>
// expect: error: argument 1 of 'widened' changed from i32 to i64
// expect: error: argument 2 of 'widened' changed from i8 to double
// expect: hint: one side refuses numbers that do not fit its type
// expect: error: argument 1 of 'narrowed' changed from i64 to i32
// expect: warning: argument 1 was named 'a': only its position counts on the wire
// expect: error: 'hard' is mandatory now
// expect: error: 'soft' may be absent now
// expect: warning: the default of 'given' has changed
// expect: error: 'lost' is mandatory now
// expect: warning: the default of 'other' has changed
// expect: warning: the default of 'l' has changed
// expect: warning: the default of 't' has changed
// expect: warning: the default of 's' has changed
// expect: error: the stream that 'stream_in' takes changed from stream<i32> to stream<i64>
// expect: error: the stream that 'no_stream_in' takes changed from void to stream<i32>
// expect-not: 'optional_one'
// expect-not: 'default_one'
// expect-not: removed_optional
// expect-not: renumbered
// expect-not: same_default
// expect-not: stream_moved
namespace * arguments
struct T { 1: i32 x }
service S {
  void added(1: i32 a, 2: i32 new_one)
  void added_optional(1: i32 a, 2: optional i32 optional_one)
  void added_default(1: i32 a, 2: i32 default_one = 5)
  void removed(1: i32 a)
  void removed_optional(1: i32 a)
  void swapped(1: i32 b, 2: i32 a)
  void inserted(1: i32 a, 2: optional i32 x, 3: i32 b)
  void cut_in_the_middle(1: i32 a, 2: optional i32 c)
  void renumbered(7: i32 a, 9: i32 b)
  void retyped(1: string a, 2: binary b, 3: list<T> c)
  void widened(1: i64 a, 2: double b)
  void narrowed(1: i32 a)
  void renamed(1: i32 z)
  void hardened(1: i32 hard)
  void softened(1: optional i32 soft)
  void given_default(1: i32 given = 4)
  void lost_default(1: i32 lost)
  void other_default(1: i32 other = 2, 2: list<i32> l = [1, 3], 3: T t = {"x": 2}, 4: string s = "y")
  void same_default(1: i32 a = 0x10, 2: list<i32> l = L, 3: double d = 2.0)
  void stream_in(1: stream<i64> s)
  void no_stream_in(1: i32 a, 2: stream<i32> s)
  void stream_moved(1: stream<i32> s, 2: i32 a)
}
const list<i32> L = [1, 2]
