// SPDX-License-Identifier: Apache-2.0
namespace * json

/** Lists and objects inside each other: as many levels as a message may have. */
const i32 LEVELS = 32

/** The text is not JSON. */
exception Malformed {
  /** The position of the character, from 0. */
  1: i64 position
  /** The same position for people: line and column, from 1. */
  2: i32 line
  3: i32 column
  /** "a value is expected", "NaN is not a JSON number". */
  4: string reason
  5: string message
}

/** A number that does not fit into 64 bits, or into the range of a double. */
exception NumberTooLarge {
  /** As it is written in the text. */
  1: string number
  2: i64 position
  3: string message
}

/** The value has too many nested levels. */
exception TooDeep {
  /** The position of the first level beyond the limit. */
  1: i64 position
  2: i32 limit
  3: string message
}

/** A MessagePack value that JSON cannot express. */
exception NotJson {
  /** The position of the value's first octet in the MessagePack. */
  1: i64 offset
  /** "NaN", "a binary string", "a key that is not a string". */
  2: string reason
  3: string message
}

/**
 * JSON text to MessagePack values, and back.
 *
 * Both have the same values: null, booleans, numbers, text, lists, objects. JSON is for people,
 * MessagePack for programs. Integers from -2^63 to 2^64-1 stay exact. Programs that read every
 * number as a double lose digits beyond 2^53. The keys of objects keep their order.
 */
service Json {
  /** The MessagePack of a text; the strictest JSON there is: RFC 8259. */
  binary loads(1: string text) throws (1: Malformed malformed, 2: NumberTooLarge number, 3: TooDeep too_deep) (idempotent = "true")

  /**
   * The text of one MessagePack value.
   *
   * With `ensure_ascii` every other character is written as \u and four hexadecimal digits, so that
   * the text passes through programs that support only ASCII.
   */
  string dumps(1: binary value, 2: bool ensure_ascii = true) throws (1: NotJson not_json, 2: TooDeep too_deep) (idempotent = "true")
}
