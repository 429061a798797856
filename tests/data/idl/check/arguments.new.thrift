// expect: error: callers that know the old interface do not send 'new_one'
// expect: error: 'removed' has no argument 'b' any more
// expect: error: 'a' was argument 1 of 'swapped', and has another place now
// expect: error: 'b' was argument 2 of 'swapped', and has another place now
// expect: hint: on the wire an argument is known by its place: add new ones last
// expect: error: 'b' was argument 2 of 'inserted', and has another place now
// expect: error: 'c' was argument 3 of 'cut_in_the_middle', and has another place now
// expect: error: argument 1 of 'retyped' was i32, and is string now
// expect: error: argument 2 of 'retyped' was string, and is binary now
// expect: error: argument 3 of 'retyped' was T, and is list<T> now
// expect: error: argument 1 of 'widened' was i32, and is i64 now
// expect: error: argument 2 of 'widened' was i8, and is double now
// expect: hint: the side that is older, or newer, refuses numbers that do not fit
// expect: error: argument 1 of 'narrowed' was i64, and is i32 now
// expect: warning: argument 1 was named 'a': on the wire only its place counts
// expect: error: 'hard' must be there now
// expect: error: 'soft' may be absent now
// expect: warning: the default of 'given' has changed
// expect: error: 'lost' must be there now
// expect: warning: the default of 'other' has changed
// expect: warning: the default of 'l' has changed
// expect: warning: the default of 't' has changed
// expect: warning: the default of 's' has changed
// expect: error: the stream that 'stream_in' takes was stream<i32>, and is stream<i64> now
// expect: error: the stream that 'no_stream_in' takes was void, and is stream<i32> now
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
