/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Threads call the thread of a loop. A call writes to an eventfd, which wakes the loop, only if the
 * loop may be asleep. A loop that polls sees the call in memory, without system calls.
 *
 * Before the loop sleeps with waker->fd among its descriptors, it calls waker_may_sleep(). After
 * the sleep it calls waker_is_awake(), and then waker_take().
 */

#include <stdatomic.h>
#include <stdbool.h>

typedef struct Waker {
    int fd; /* an eventfd: readable after a call to a loop that may be asleep */
    atomic_bool called;
    atomic_bool asleep; /* a call writes to fd; true before the first waker_is_awake() */
} Waker;

/* 0 or a negative errno. */
int waker_open(Waker *waker);
void waker_close(Waker *waker);

/* Calls the loop, from any thread. Many calls before waker_take() are one. */
void waker_call(Waker *waker);

/* ---- for the loop ---- */

/* True: there is work. */
bool waker_is_called(const Waker *waker);
/* From now on a call writes to fd. False: there is work already, so do not sleep. */
bool waker_may_sleep(Waker *waker);
void waker_is_awake(Waker *waker);
/* Takes all calls so far. True: there is work. It may be false although fd is readable, if the
 * calls were taken before. */
bool waker_take(Waker *waker, bool fd_is_readable);
