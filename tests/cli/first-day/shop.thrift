// SPDX-License-Identifier: Apache-2.0
namespace * shop

/** There are not enough of them. */
exception OutOfStock { 1: string item, 2: i32 left }

/** The customer chooses the number: the same number again is the same order. */
struct Order { 1: i64 number, 2: string item, 3: i32 amount }

service Shop {
    /** Returns when the order is as safe as the queue of the packers. */
    void buy(1: Order order) throws (1: OutOfStock out) (idempotent = "true"),
    /** Cents. */
    i32 price(1: string item) (idempotent = "true", cache.ttl = "1h", cache.tags = "prices"),
    void set_price(1: string item, 2: i32 cents) (idempotent = "true"),
}
