// SPDX-License-Identifier: Apache-2.0
namespace * bytes

enum Codec {
  /** 7 bits: U+0000 to U+007F, an octet each. */
  ASCII = 1
  /** Every character, in one to four octets. */
  UTF_8 = 2
  /** Chinese, in one or two octets; 0x80 is the euro sign, as in code page 936. */
  GBK = 3
  /** Western Europe: U+0000 to U+00FF, an octet each. */
  LATIN_1 = 4
  /** Every character, in two or four octets. Written with a byte order mark, least octet first. */
  UTF_16 = 5
}

/** Three ways to treat an octet or a character that the codec does not know. */
enum Errors {
  /** Throw DecodeError or EncodeError. */
  STRICT = 1
  /** Replace it: by U+FFFD when decoding, by a question mark when encoding. */
  REPLACE = 2
  /** Leave it out. */
  IGNORE = 3
}

/** These octets are not valid text in this codec. */
exception DecodeError {
  /** As Python spells it: "ascii", "utf-8", "gbk", "latin-1", "utf-16". */
  1: string codec
  /** The position of the octet, from 0. */
  2: i64 position
  /** Its value: 0 to 255. */
  3: i32 octet
  /** The number of invalid octets from there on. */
  4: i32 length
  /** "ordinal not in range(128)", "invalid start byte", "unexpected end of data". */
  5: string reason
  6: string message
}

/** The codec has no octets for this character. */
exception EncodeError {
  1: string codec
  /** The position of the character, from 0. */
  2: i64 position
  /** Its code point: 945 for U+03B1. */
  3: i32 character
  4: string reason
  5: string message
}

/** A number does not fit in an octet. */
exception BadOctet {
  /** The position of the number, from 0. */
  1: i32 index
  2: i32 value
  3: string message
}

/** A codec or a way of treating errors that is not in the list. */
exception BadArgument {
  1: string name
  2: i32 value
  3: string message
}

/**
 * Octets, and text made of them.
 *
 * A network carries octets: numbers from 0 to 255. A codec converts text to octets and octets to
 * text. A reader with a different codec than the writer gets an error, or worse: wrong text.
 */
service Bytes {
  /** The octets with these values: `octets '[97, 98]'` gives `ab`. */
  binary octets(1: list<i32> numbers) throws (1: BadOctet bad_octet) (idempotent = "true")

  /** The value of each octet. */
  list<i32> numbers(1: binary octets) (idempotent = "true")

  /** The text as octets. */
  binary encode(1: string text, 2: Codec codec = Codec.UTF_8, 3: Errors errors = Errors.STRICT) throws (1: EncodeError encode_error, 2: BadArgument bad_argument) (idempotent = "true")

  /**
   * The octets as text.
   *
   * A text in ferry cannot contain U+0000: octets that mean U+0000 are a DecodeError, for every
   * value of `errors`.
   */
  string decode(1: binary octets, 2: Codec codec = Codec.UTF_8, 3: Errors errors = Errors.STRICT) throws (1: DecodeError decode_error, 2: BadArgument bad_argument) (idempotent = "true")
}
