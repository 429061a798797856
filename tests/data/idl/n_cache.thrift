// expect: error: 'cache.key': there is no 'who'
// expect: error: 'cache.key': there is no 'user.nick'
// expect: error: 'cache.key': 'id' is not a struct
// expect: error: 'cache.tags' needs 'cache.ttl'
// expect: error: 'later' is not a time
struct User { 1: i64 id, 2: string name }
service S {
  i64 a(1: User user) (cache.ttl = "1s", cache.key = "user.id, who")
  i64 b(1: User user) (cache.ttl = "1s", cache.key = "user.nick")
  i64 c(1: i64 id) (cache.ttl = "1s", cache.key = "id.x")
  i64 d(1: i64 id) (cache.tags = "users")
  i64 e(1: i64 id) (cache.ttl = "1s", cache.stale = "later")
}
