// SPDX-License-Identifier: Apache-2.0
namespace * sixteen

/** The octets of a request, and of a reply. */
const i32 LENGTH = 16

/** It ended before it was complete. */
exception ShortInput {
  /** How many octets a request has. */
  1: i32 expected
  /** How many had come when it ended. */
  2: i32 received
  3: string message
}

/** More came than a request has: what follows would be taken for the next one. */
exception LongInput {
  1: i32 expected
  /** At least so many. */
  2: i32 received
  3: string message
}

/**
 * Sixteen octets there, sixteen octets back.
 *
 * TCP delivers bytes, not messages: one send may arrive in pieces, and a connection may end in the
 * middle of what was promised. The reader must collect exactly as many bytes as were agreed upon, and
 * notice when they do not come.
 */
service Sixteen {
  /** Takes exactly sixteen octets, answers "Request received". */
  binary exchange(1: binary octets) throws (1: ShortInput short_input, 2: LongInput long_input)

  /**
   * The same, in as many pieces as the caller likes.
   *
   * Collects until sixteen octets are there; a caller that ends its side before is told how far
   * it got.
   */
  binary collect(1: stream<binary> pieces) throws (1: ShortInput short_input, 2: LongInput long_input) (timeout = "10s")
}
