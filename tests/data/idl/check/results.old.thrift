namespace * results
exception X { 1: i32 a }
exception Y { 1: i32 a }
struct T { 1: i32 x }
struct U { 1: i32 x }
service S {
  void gave_nothing()
  i32 gives_nothing()
  i32 gives_more()
  T gives_other()
  list<i32> gives_set()
  void turned_oneway()
  oneway void was_oneway()
  i32 starts_streaming()
  stream<i32> ends_streaming()
  stream<i32> streams_other()
  void throws_more() throws (1: X x)
  void throws_less() throws (1: X x, 2: Y y)
  void throws_renamed() throws (1: X x)
  i32 not_idempotent() (idempotent = "true")
  i32 idempotent() (idempotent = "false")
  i32 sooner() (timeout = "10s")
  i32 given_timeout()
  i32 forgets() (cache.ttl = "1m")
  i32 remembers() (cache.ttl = "1s")
  i32 fine() (timeout = "1000ms", deprecated)
  void gone()
}
