// SPDX-License-Identifier: Apache-2.0
/** A calculator, for tests of what a described service is to the command line. */
namespace * calc

/** The divisor was zero. */
exception DivisionByZero { 1: i32 dividend }

/** Whole numbers from low to high. */
struct Range { 1: i32 low, 2: i32 high, 3: optional i32 step }

enum Rounding { DOWN = 1, UP = 2 }

/** Sums and other arithmetic. */
service Calc {
  i64 add(1: i32 a, 2: i32 b) (idempotent = "true")
  /** Whole-number division. */
  i64 div(1: i32 a, 2: i32 b) throws (1: DivisionByZero by_zero)
  list<i32> squares(1: Range range) (timeout = "2s")
  Range widen(1: Range range, 2: i32 by = 1)
  Rounding opposite(1: Rounding rounding) (deprecated = "there are more than two")
  i32 random() (cache.ttl = "30s")
  string say(1: string text, 2: optional string after)
  void nothing()
  oneway void note(1: string text)
  /** Which instance it is. */
  string who()
  /** Takes its time. */
  void doze() (timeout = "300ms")
  i64 sum(1: stream<i32> numbers)
  stream<i32> count(1: i32 from, 2: i32 to) throws (1: DivisionByZero by_zero)
  /** Each range as it comes, moved. */
  stream<Range> shift(1: i32 by, 2: stream<Range> ranges) (timeout = "400ms")
  i32 unserved()
}
