/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Turns, waits outside of turns, and the descriptor of a client. */

#include "clients/c/core/core.h"

/* Returns the time in milliseconds. In a turn it uses the coarse clock, which costs no system call
 * and still notices a callback that computed for long. */
static inline uint64_t core_now(const Core *core) {
    uint64_t about_ms;

    if (!core->turns || core->waits)
        return clock_ms();
    about_ms = clock_about_ms();
    return about_ms > core->now_ms ? about_ms : core->now_ms;
}

/* Call this after a message was put into the outbox: sends it now, or at the end of the turn. */
void core_sent(Core *core);

/* Waits until *done is true. Messages that need a callback are deferred. 0, -ETIMEDOUT. */
int core_wait(Core *core, const bool *done, uint64_t until_ms);

/* Receives the messages that have arrived, because they may bring credit and answers. Does not
 * wait, and runs no callback. */
void core_poll(Core *core);

/* Sleeps until a client of several brokers has input from one of them, at most until
 * sleep_until_ms (0: it does not sleep). Then calls core_poll() for the client and its members. */
void core_poll_members(Core *leader, uint64_t sleep_until_ms);

/* Calls core_poll() at most once a millisecond, for functions that callbacks call often. */
void core_look(Core *core);

/* Makes the client's descriptor readable, so that the program's loop calls ferry_process(). */
void core_raise(Core *core);

/* 0; an error of client_check(); -EINVAL inside a callback. */
int core_turn_check(ferry_client *client, ferry_error *reterr);

/* A function that any thread may call uses the core only between core_visit() and
 * core_wake_and_leave(), which wakes the client's thread. ferry_close() waits until `visitors` is
 * 0: a stop may end ferry_run(), and its thread may then close the client while the stopping thread
 * still uses it. */
void core_visit(Core *core);
void core_wake_and_leave(Core *core);

/* The client's waits end when this descriptor is readable, too. It stays watched until it is
 * closed. A part calls core_watch_loop(), too, in its function `watch`. */
int core_watch(Core *core, int fd);

/* In loop mode: the program's loop runs a turn of the client when this descriptor is readable. */
int core_watch_loop(Core *core, int fd);

int loop_init(Core *core);
void loop_deinit(Core *core);

/* Runs one turn. True: there was work. */
bool core_turn(Core *core);

/* Runs turns until is_over() returns true, until until_ms, or until a callback closes the client.
 * Call it outside of turns. */
void core_run(Core *core, bool (*is_over)(const Core *core, const void *ctx), const void *ctx,
              uint64_t until_ms);

/* Callbacks run between core_enter() and core_leave(). core_leave() may free the core. */
void core_enter(Core *core);
void core_leave(Core *core);
