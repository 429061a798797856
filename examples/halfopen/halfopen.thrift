// SPDX-License-Identifier: Apache-2.0
namespace * halfopen

/** Which half of a connection is shut down: the argument of shutdown(2). */
enum How {
  /** SHUT_RD: we receive no more. */
  READ = 1
  /** SHUT_WR: we send no more. */
  WRITE = 2
  /** SHUT_RDWR: neither. */
  BOTH = 3
}

/** The result of a call at one end of a TCP connection. */
struct Result {
  /** "5 bytes", "end of file", or the text of an error. */
  1: string what
  /** 0: no error. */
  2: i32 error_number
}

/** The results at both ends of a TCP connection after one end called shutdown(). */
struct Halves {
  /** That end: recv() at once. */
  1: Result own_recv
  /** recv() after the peer has sent. */
  2: Result own_recv_later
  3: Result own_send
  /** The other end. */
  4: Result peer_recv
  5: Result peer_send
}

/** The bytes that the server received before it answered. */
struct Received {
  /** SHA-256, as hexadecimal digits. */
  1: string sha256
  2: i64 bytes
  /** The number of pieces. */
  3: i64 pieces
}

/** There is no half with this number. */
exception BadHalf {
  1: i32 how
  2: string message
}

/** A limit below zero. */
exception BadLimit {
  1: i64 limit
  2: string message
}

/**
 * Connections of which one half is closed.
 *
 * "That was all" and "I am gone" are different messages. A program that closes its socket after its
 * last byte sends both, and cannot receive the answer. A program that ends only its direction sends
 * only the first one.
 */
service Halfopen {
  /**
   * Shuts down one end of a temporary TCP connection on loopback, and reports the results at both
   * ends.
   */
  Halves shutdown(1: How how) throws (1: BadHalf bad_half)

  /**
   * SHUT_WR: reads everything until the caller ends its direction, and then answers with a digest.
   *
   * A caller that is lost before its end gets no digest.
   */
  Received digest(1: stream<binary> data) (timeout = "30s")

  /**
   * SHUT_RD, with a report: reads `limit` bytes and no more.
   *
   * The answer is the digest of these bytes. A caller that continues to send gets ferry.Cancelled,
   * and its bytes are not silently lost.
   */
  Received first(1: stream<binary> data, 2: i64 limit) throws (1: BadLimit bad_limit) (timeout = "30s")

  /** Lines about the received bytes, after the caller's end: the other direction is still open. */
  stream<string> report(1: stream<binary> data) (timeout = "30s")
}
