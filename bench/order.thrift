// SPDX-License-Identifier: Apache-2.0
// A struct of ten fields in and out: what typed calls are measured with.

namespace * bench

struct Order {
  1: i64 id,
  2: string customer,
  3: bool paid,
  4: double total,
  5: i32 quantity,
  6: string currency,
  7: list<i32> items,
  8: i64 created_ms,
  9: string note,
  10: binary token,
}

service Orders {
  Order echo(1: Order order),
  binary say(1: binary bytes),
}
