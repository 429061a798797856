// SPDX-License-Identifier: Apache-2.0
namespace * rollcall

/** The topic of the roll call: its subscribers are on the roll. */
const string TOPIC = "rollcall.everybody"

/** The answer of a member. */
struct Card {
  1: string name
  2: string host
  3: i32 pid
  /** For how long it has been present, in milliseconds. */
  4: i64 up_ms
}

/** A window is 1 to 10 000 ms. */
exception BadWindow {
  1: i32 window_ms
}

/**
 * Who is here? One question, an answer from everybody.
 *
 * A broadcast reaches one network, and the caller must guess how many answers to read. Here the
 * question goes to a topic, and each subscriber's answer that comes within the window is gathered.
 */
service Rollcall {
  /**
   * Calls the roll on behalf of the caller: returns the answers that arrived within the window.
   *
   * Programs call it themselves, with ferry_gather(); this is for the shell.
   */
  list<Card> call(1: string question, 2: optional i32 window_ms = 500) throws (1: BadWindow bad_window) (timeout = "15s")
}
