// SPDX-License-Identifier: Apache-2.0
// A service whose callers go straight to its servers.

namespace * straight

service Sums {
  i64 add(1: i32 a, 2: i32 b),
} (direct = "true")
