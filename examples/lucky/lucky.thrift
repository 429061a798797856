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
 * Lucky numbers over a line that loses messages.
 *
 * A datagram may get lost, and a socket that accepts every datagram may receive a forged one. Here
 * the server can be told to lose a share of the draws. A caller that asks again, with growing time
 * limits, still gets its number, and only from the server.
 */
service Lucky {
  /**
   * A lucky number: at least 0, less than 1.
   *
   * Asking twice does no harm. The caller decides how long to wait for an answer and how often to
   * ask: a lost draw is never answered, and ends at the caller's deadline.
   */
  double draw() (idempotent = "true")

  /**
   * From now on loses this share of the draws.
   *
   * The seed selects the draws: the same seed loses the same draws.
   */
  void lose(1: double share, 2: optional i64 seed = 1) throws (1: BadShare bad_share)

  /** Counts draws, answered and lost. */
  Score counts() (idempotent = "true")
}
