// SPDX-License-Identifier: Apache-2.0
namespace * caps

/** A byte is not ASCII. */
exception NotAscii {
  /** Where it stands in the text, from 0. */
  1: i64 offset
  /** The byte. */
  2: i32 value
  3: string message
}

/**
 * Capital letters, for any amount of text.
 *
 * Two programs that write everything before they read anything wait for each other for ever as soon
 * as the text is larger than what the system buffers. Here text flows both ways at once, neither
 * side holds more than a few hundred kilobytes, and each wait has a limit.
 */
service Caps {
  /**
   * Gives back every piece of text in capitals, in order.
   *
   * Pieces may be as large as you like; 64 KiB are good. The stream ends after the caller's own
   * end. Read while you write: after 256 KiB that you have not read, your writes wait.
   */
  stream<binary> capitalize(1: stream<binary> text) throws (1: NotAscii not_ascii) (timeout = "30s")
}
