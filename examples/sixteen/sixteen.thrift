// SPDX-License-Identifier: Apache-2.0
namespace * sixteen

/** The octets of a request, and of a reply. */
const i32 LENGTH = 16

/** The request ended before it was complete. */
exception ShortInput {
  /** How many octets a request has. */
  1: i32 expected
  /** The number of octets that had arrived. */
  2: i32 received
  3: string message
}

/** More octets arrived than a request has: the rest would be taken for the next request. */
exception LongInput {
  1: i32 expected
  /** At least this many octets. */
  2: i32 received
  3: string message
}

/**
 * Sixteen octets there, sixteen octets back.
 *
 * TCP delivers bytes, not messages: one send may arrive in pieces, and a connection may end in the
 * middle of a message. The reader must collect exactly the agreed number of bytes, and notice if
 * they do not arrive.
 */
service Sixteen {
  /** Takes exactly sixteen octets, answers "Request received". */
  binary exchange(1: binary octets) throws (1: ShortInput short_input, 2: LongInput long_input)

  /**
   * The same, in any number of pieces.
   *
   * Collects sixteen octets. A caller that ends its direction earlier gets the number of received octets.
   */
  binary collect(1: stream<binary> pieces) throws (1: ShortInput short_input, 2: LongInput long_input) (timeout = "10s")
}
