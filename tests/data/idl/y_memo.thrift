/** Methods whose answers a client's cache may give. */
namespace * memo

exception NoSuchUser { 1: i64 id, 2: string message }
exception Busy { 1: string message }
struct User { 1: i64 id, 2: string name, 3: optional string note }

service Users {
  i64 square(1: i32 a) (cache.ttl = "30s")
  User find(1: i64 id) throws (1: NoSuchUser missing, 2: Busy busy)
    (cache.ttl = "30s", cache.negative = "200ms", cache.tags = "users")
  string title(1: User user, 2: string language) (cache.ttl = "30s", cache.key = "user.id, language")
  i64 brief(1: i32 a) (cache.ttl = "50ms")
  i64 stale(1: i32 a) (cache.ttl = "20ms", cache.stale = "10s")
  i64 plain(1: i32 a) throws (1: NoSuchUser missing) (cache.ttl = "30s")
  i64 slow(1: i32 a) (cache.ttl = "30s", cache.tags = "slow")
  void forget(1: string tags)
}
