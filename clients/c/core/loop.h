/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Turns, waits outside of turns, and the descriptor of a client. */

#include "clients/c/core/core.h"

/* The time, without a look at the clock in a short turn. A callback may have computed for long. */
static inline uint64_t core_now(const Core *core) {
    uint64_t about_ms;

    if (!core->turns || core->waits)
        return clock_ms();
    about_ms = clock_about_ms();
    return about_ms > core->now_ms ? about_ms : core->now_ms;
}

/* Call this after a message was put into the outbox: sends it now, or at the end of the turn. */
void core_sent(Core *core);

/* Waits until *done; other messages are deferred. -ETIMEDOUT; -ENOTCONN: the link has given up. */
int core_wait(Core *core, const bool *done, uint64_t until_ms);

/* Receives messages that have arrived, for their credit and answers. Does not wait and runs no
 * callback. */
void core_poll(Core *core);

/* core_poll(), at most once a millisecond: for callbacks that ask often. */
void core_look(Core *core);

/* Makes the client's descriptor readable, so that the program's loop calls ferry_process(). */
void core_raise(Core *core);

/* 0; an error of client_check(); -EINVAL inside a callback. */
int core_turn_check(ferry_client *client, ferry_error *reterr);

/* A function that any thread may call runs between these two. core_visit(): ferry_close() waits
 * until `visitors` is 0, because a stop may end ferry_run(), whose thread then closes the client.
 * core_wake_and_leave() wakes the client's thread. */
void core_visit(Core *core);
void core_wake_and_leave(Core *core);

int loop_init(Core *core);
void loop_deinit(Core *core);

/* Runs one turn. True: there was work. */
bool core_turn(Core *core);

/* Runs turns until is_over() returns true, until until_ms, or until a callback closes the client.
 * Call it outside of turns. */
void core_run(Core *core, bool (*is_over)(const Core *core, const void *ctx), const void *ctx,
              uint64_t until_ms);

/* Callbacks run between these two. core_leave() may free the core. */
void core_enter(Core *core);
void core_leave(Core *core);
