// SPDX-License-Identifier: Apache-2.0
namespace * calc

/** The divisor was zero. */
exception DivisionByZero { 1: i32 dividend }

/** Whole numbers from low to high. */
struct Range { 1: i32 low, 2: i32 high, 3: optional i32 step }

service Calc {
    i64 add(1: i32 a, 2: i32 b),
    /** Whole-number division. */
    i64 div(1: i32 a, 2: i32 b) throws (1: DivisionByZero by_zero),
    list<i32> squares(1: Range range) (timeout = "2s"),
    stream<i32> primes(1: i32 below),
}
