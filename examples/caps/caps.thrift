// SPDX-License-Identifier: Apache-2.0
namespace * caps

/** A byte is not ASCII. */
exception NotAscii {
  /** Its position in the text, from 0. */
  1: i64 offset
  /** The byte. */
  2: i32 value
  3: string message
}

/**
 * Capital letters, for any amount of text.
 *
 * If two programs write everything before they read anything, they wait for each other for ever as
 * soon as the text is larger than the buffers of the system. Here text flows in both directions at
 * once, neither side stores more than a few hundred kilobytes, and each wait has a limit.
 */
service Caps {
  /**
   * Returns every piece of text in capitals, in order.
   *
   * Pieces may have any size; 64 KiB is a good one. The stream ends after the caller has ended its
   * direction. Read while you write: when 256 KiB are unread, your writes wait.
   */
  stream<binary> capitalize(1: stream<binary> text) throws (1: NotAscii not_ascii) (timeout = "30s")
}
