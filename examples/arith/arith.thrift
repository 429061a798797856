// SPDX-License-Identifier: Apache-2.0
namespace * arith

/** The result does not fit into 64 bits. */
exception Overflow {
  1: i64 a
  2: i64 b
  3: string message
}

/** The discriminant is negative: the equation has no real root. */
exception NoRealRoots {
  /** b² - 4ac: below zero. */
  1: double discriminant
}

/** The factor of x² is zero, or a coefficient is not finite. */
exception NotQuadratic {
  1: string message
}

/** The smaller and the larger root; both are equal if the parabola only touches zero. */
struct Roots {
  1: double low
  2: double high
}

enum Suit {
  CLUBS = 1
  DIAMONDS = 2
  HEARTS = 3
  SPADES = 4
}

/** One of several. */
union Number {
  1: i64 whole
  2: double real
  3: string words
}

/** A value of every type that the wire carries. */
struct Everything {
  1: bool truth
  2: i8 tiny
  3: i16 small
  4: i32 medium
  5: i64 large
  6: double real
  7: string text
  8: binary bytes
  9: uuid id
  10: Suit suit
  11: Number number
  12: Roots roots
  13: list<i32> numbers
  14: set<string> names
  15: map<string, list<double>> table
  16: optional string note
  17: optional i32 answer = 42
}

/**
 * The first lessons of every RPC system: numbers, exceptions, types, addressing, access control.
 *
 * `ferry services` lists what is served, `ferry describe arith.Arith` prints this page, and
 * `ferry call arith.Arith.add 2 3` calls it.
 */
service Arith {
  /** The sum; Overflow if it does not fit in 64 bits. */
  i64 add(1: i64 a, 2: i64 b) throws (1: Overflow overflow) (idempotent = "true")

  /** The real roots of ax² + bx + c. */
  Roots quadratic(1: double a, 2: double b, 3: double c) throws (1: NoRealRoots none, 2: NotQuadratic not_quadratic) (idempotent = "true")

  /** Returns its argument: shows that values of every type arrive unchanged. */
  Everything echo(1: Everything everything) (idempotent = "true")

  /** The instance that answers: with `--instance` a caller chooses one of several. */
  string whoami() (idempotent = "true")

  /**
   * The number kept in this server.
   *
   * Every caller may read it. To set it, a caller needs the header `token: open sesame`; other
   * callers get ferry.PermissionDenied.
   */
  i64 memory() (idempotent = "true")
  /** Sets the number, and returns the previous one. */
  i64 remember(1: i64 number)
}
