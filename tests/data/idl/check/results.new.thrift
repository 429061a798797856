// expect: error: the result of 'gave_nothing' was void, and is i32 now
// expect: error: the result of 'gives_nothing' was i32, and is void now
// expect: error: the result of 'gives_more' was i32, and is i64 now
// expect: error: the result of 'gives_other' was T, and is U now
// expect: error: the result of 'gives_set' was list<i32>, and is set<i32> now
// expect: error: 'turned_oneway' is oneway now
// expect: error: 'was_oneway' was oneway
// expect: error: the result of 'starts_streaming' was i32, and is stream<i32> now
// expect: error: the result of 'ends_streaming' was stream<i32>, and is list<i32> now
// expect: error: the result of 'streams_other' was stream<i32>, and is stream<string> now
// expect: warning: callers that know the old interface do not know 'Y'
// expect: warning: servers that know the old interface still throw 'Y'
// expect: warning: 'not_idempotent' was idempotent: callers that know the old interface still try it again
// expect: warning: callers that know the old interface still wait 10s for 'sooner'
// expect: warning: callers of 'given_timeout' wait 5s now, if they do not say how long
// expect: warning: callers that know the old interface still remember answers of 'forgets' for 1m
// expect: warning: callers of 'remembers' may get answers that are up to 1h old now
// expect: error: 'S' has no method 'gone' any more
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
