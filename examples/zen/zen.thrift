// SPDX-License-Identifier: Apache-2.0
namespace * zen

/** Nobody has taught the server this question. */
exception UnknownQuestion {
  1: string question
  /** The questions that it can answer. */
  2: list<string> known
}

/** The pace asked for is not from 0 to 1000 ms and µs. */
exception BadPace {
  1: i32 wait_ms
  2: i32 work_us
}

/**
 * The Zen of Python, as questions and answers: one service in every shape a server can have.
 *
 * The answer is the same from each; what differs is how many callers wait, and for whom.
 */
service Zen {
  /**
   * The second half of the sentence.
   *
   * Before it answers the server waits, as for a database or a disk, and computes, as for a
   * picture: both as long as you like, to see what becomes of the others meanwhile.
   */
  string answer(
    1: string question,
    2: optional i32 wait_ms = 0,
    3: optional i32 work_us = 0
  ) throws (1: UnknownQuestion unknown, 2: BadPace bad_pace) (idempotent = "true")

  /** All questions that have an answer. */
  list<string> questions() (idempotent = "true")
}
