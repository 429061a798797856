// SPDX-License-Identifier: Apache-2.0
namespace * lucky

/** The share is not between 0 (lose nothing) and 1 (lose everything). */
exception BadShare {
  1: double share
}

/** Counts of the draws since the last `lose`. */
struct Score {
  1: i64 answered
  2: i64 lost
}

/**
 * Lucky numbers over a line that loses things.
 *
 * A datagram may get lost, and a socket that takes whatever arrives may be fed a lie. Here the
 * server can be told to lose a share of the draws; a caller that asks again, with growing patience,
 * still gets its number, and gets it from nobody but the server.
 */
service Lucky {
  /**
   * A lucky number: at least 0, less than 1.
   *
   * Asking twice does no harm. How long to wait for an answer, and how often to ask, is up to the
   * caller: a lost draw is never answered, it ends by the caller's deadline.
   */
  double draw() (idempotent = "true")

  /**
   * From now on loses this share of the draws.
   *
   * The seed decides which ones: the same seed loses the same draws.
   */
  void lose(1: double share, 2: optional i64 seed = 1) throws (1: BadShare bad_share)

  /** Counts draws, answered and lost. */
  Score counts() (idempotent = "true")
}
