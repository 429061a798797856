// SPDX-License-Identifier: Apache-2.0
/** The service that bench-memo measures: calls whose answers may be memoised. */
namespace * memo

exception TooLarge { 1: i32 limit }

service Squares {
  i64 square(1: i32 a) throws (1: TooLarge too_large)
    (cache.ttl = "30s", cache.negative = "30s", cache.tags = "squares")
}
