// SPDX-License-Identifier: Apache-2.0
namespace * endian

/** One value of a packed record. */
union Value {
  /** For b B h H i I l L q Q and ?: whole numbers, as far as they fit in 64 bits with a sign. */
  1: i64 whole
  /** For L and Q above 9223372036854775807: the digits. */
  2: string digits
  /** For f and d. */
  3: double real
  /** For s and c. */
  4: binary octets
}

/** The format is malformed. */
exception BadFormat {
  /** The position of the character, from 0. */
  1: i32 position
  2: string reason
  3: string message
}

/** A number does not fit in the octets of its code. */
exception OutOfRange {
  /** The position of the value, from 0. */
  1: i32 index
  /** The code: "i". */
  2: string code
  /** The smallest and the largest number that fit. */
  3: string low
  4: string high
  5: string message
}

/** A value is of another kind than its code: a real number for "i", or octets for "d". */
exception BadValue {
  1: i32 index
  2: string code
  3: string message
}

/** There are more or fewer values than the format has. */
exception WrongCount {
  1: i32 expected
  2: i32 received
  3: string message
}

/** More octets, or fewer, than the format describes. */
exception WrongLength {
  1: i64 expected
  2: i64 received
  3: string message
}

/**
 * Numbers as octets: which end comes first?
 *
 * The number 0x13579ace has four octets. Big-endian machines store 13 first, little-endian machines
 * ce. Networks use big-endian; a program that copies memory to a socket sends the wrong order on
 * most of today's machines.
 *
 * A format is an optional first character and then codes, each with an optional count.
 *
 *     <  little-endian          b B  one octet, with a sign, without     f  float, 4 octets
 *     >  big-endian             h H  two                                 d  double, 8 octets
 *     !  network: big-endian    i I  four                                s  octets: one value
 *     =  this machine's order   l L  four (native: this machine's)       c  one octet
 *     @  native: this machine's q Q  eight                               ?  a bool, x  a gap
 *        order and alignment
 *
 * A format that begins with a code is native.
 */
service Endian {
  /** The values as octets: `pack '">i"' '[{"whole": 4253}]'`. */
  binary pack(1: string format, 2: list<Value> values) throws (1: BadFormat bad_format, 2: OutOfRange out_of_range, 3: BadValue bad_value, 4: WrongCount wrong_count) (idempotent = "true")

  /** The values in these octets. */
  list<Value> unpack(1: string format, 2: binary octets) throws (1: BadFormat bad_format, 2: WrongLength wrong_length) (idempotent = "true")

  /** How many octets a format describes. */
  i64 calcsize(1: string format) throws (1: BadFormat bad_format) (idempotent = "true")
}
