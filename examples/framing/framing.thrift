// SPDX-License-Identifier: Apache-2.0
namespace * framing

enum Pattern {
  /** One message: all bytes until the connection ends. There is no answer. */
  CLOSE = 1
  /** One message, until the sender ends its direction; the other stays open for the answer. */
  HALF_CLOSE = 2
  /** Every message has the same length. */
  FIXED = 3
  /** Each message ends with a byte that no message may contain. */
  DELIMITED = 4
  /** Four bytes with the length precede each message, most significant byte first. */
  LENGTH_PREFIXED = 5
  /** Blocks with a length each, of any number; an empty block ends the message. */
  BLOCKS = 6
}

struct Settings {
  /** FIXED: the size of a message. BLOCKS: the largest block of `encode`. 1 to 16 MiB. */
  1: i32 length = 16
  /** DELIMITED: 0 to 255; by default a newline. */
  2: i32 delimiter = 10
  /** The largest accepted message: at most 16 MiB. */
  3: i32 limit = 1048576
  /**
   * CLOSE and HALF_CLOSE: how many bytes were announced.
   * Without it a stream that was cut looks like one that ended.
   */
  4: optional i64 announced
}

/** The stream ended inside a message. */
exception Truncated {
  /** How many messages were complete. */
  1: i64 messages
  /** Where in the stream the broken one begins. */
  2: i64 offset
  /** The expected number of bytes of the message or of its header; absent if it is unknown. */
  3: optional i64 expected
  /** The received number of bytes. */
  4: i64 received
  5: string message
}

/** A message is larger than the limit; this is reported before memory is allocated for it. */
exception TooLong {
  1: i64 messages
  2: i64 offset
  /** The announced size, or the size reached so far. */
  3: i64 size
  4: i64 limit
  5: string message
}

/** The pattern has no way to write this message. */
exception NotEncodable {
  /** The position of the message, from 0. */
  1: i32 index
  2: string message
}

/** A setting is outside its range, or the pattern is not one of the six. */
exception BadSettings {
  1: string name
  2: i64 value
}

/**
 * Six ways to tell where a message ends in a stream of bytes.
 *
 * A connection carries bytes, not messages. `encode` writes messages as bytes by one of six
 * patterns; `decode` reads them again, in whichever pieces the bytes arrive.
 */
service Framing {
  /** The bytes that carry these messages. */
  binary encode(
    1: Pattern pattern,
    2: list<binary> messages,
    3: optional Settings settings
  ) throws (1: NotEncodable not_encodable, 2: TooLong too_long, 3: BadSettings bad_settings)

  /** The messages in these bytes, each as soon as it is complete. */
  stream<binary> decode(
    1: Pattern pattern,
    2: optional Settings settings,
    3: stream<binary> pieces
  ) throws (1: Truncated truncated, 2: TooLong too_long, 3: BadSettings bad_settings) (timeout = "30s")
}
