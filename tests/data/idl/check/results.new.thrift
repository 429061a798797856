// expect: error: the result of 'gave_nothing' changed from void to i32
// expect: error: the result of 'gives_nothing' changed from i32 to void
// expect: error: the result of 'gives_more' changed from i32 to i64
// expect: error: the result of 'gives_other' changed from T to U
// expect: error: the result of 'gives_set' changed from list<i32> to set<i32>
// expect: error: 'turned_oneway' is oneway now
// expect: error: 'was_oneway' was oneway
// expect: error: the result of 'starts_streaming' changed from i32 to stream<i32>
// expect: error: the result of 'ends_streaming' changed from stream<i32> to list<i32>
// expect: error: the result of 'streams_other' changed from stream<i32> to stream<string>
// expect: warning: callers with the old interface do not know 'Y'
// expect: warning: servers with the old interface still throw 'Y'
// expect: warning: 'not_idempotent' was idempotent: callers with the old interface still retry it
// expect: warning: callers with the old interface still wait 10s for 'sooner'
// expect: warning: callers of 'given_timeout' that set no deadline wait 5s now
// expect: warning: callers with the old interface still cache answers of 'forgets' for 1m
// expect: warning: callers of 'remembers' may get answers that are up to 1h old now
// expect: error: 'S' no longer has the method 'gone'
// expect-not: fine
// expect-not: throws_renamed
// expect-not: fresh
namespace * results
exception X { 1: i32 a }
exception Y { 1: i32 a }
struct T { 1: i32 x }
struct U { 1: i32 x }
service S {
  i32 gave_nothing()
  void gives_nothing()
  i64 gives_more()
  U gives_other()
  set<i32> gives_set()
  oneway void turned_oneway()
  void was_oneway()
  stream<i32> starts_streaming()
  list<i32> ends_streaming()
  stream<string> streams_other()
  void throws_more() throws (1: X x, 2: Y y)
  void throws_less() throws (1: X x)
  void throws_renamed() throws (4: X other)
  i32 not_idempotent()
  i32 idempotent() (idempotent = "true")
  i32 sooner() (timeout = "1s")
  i32 given_timeout() (timeout = "5s")
  i32 forgets()
  i32 remembers() (cache.ttl = "1h")
  i32 fine() (timeout = "1s")
  void fresh()
}
