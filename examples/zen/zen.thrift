// SPDX-License-Identifier: Apache-2.0
namespace * zen

/** The server does not know this question. */
exception UnknownQuestion {
  1: string question
  /** The questions that it can answer. */
  2: list<string> known
}

/** The requested times are not from 0 to 1000 ms and µs. */
exception BadPace {
  1: i32 wait_ms
  2: i32 work_us
}

/**
 * The Zen of Python, as questions and answers: one service with four models of servers.
 *
 * The answers are the same; the models differ in the callers that have to wait.
 */
service Zen {
  /**
   * The second half of the sentence.
   *
   * Before it answers, the server waits, as for a database or a disk, and computes, as for a
   * picture: both for the given times, to show the effect on other callers.
   */
  string answer(
    1: string question,
    2: optional i32 wait_ms = 0,
    3: optional i32 work_us = 0
  ) throws (1: UnknownQuestion unknown, 2: BadPace bad_pace) (idempotent = "true")

  /** All questions that have an answer. */
  list<string> questions() (idempotent = "true")
}
