/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Many deadlines: a hierarchical timing wheel with ticks of one millisecond (Varghese and Lauck,
 * 1987). Arming and disarming cost a few pointer writes; nothing is allocated.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct Timer Timer;
typedef struct Timers Timers;
typedef void (*TimerFn)(Timer *timer, void *ctx);

/* A link of a ring that begins and ends with its slot. */
typedef struct TimerLink {
    struct TimerLink *next, *prev;
} TimerLink;

/* A member of the object that it times. All zero: not armed. */
struct Timer {
    TimerLink link; /* next NULL: not armed */
    uint64_t at_ms;
    TimerFn fn;
};

enum { TIMERS_LEVELS = 5, TIMERS_SLOTS = 64 };

struct Timers {
    uint64_t now_ms;
    uint64_t n;
    uint64_t busy[TIMERS_LEVELS]; /* a bit for each slot that is not empty */
    bool halfway;                 /* some timers due at now_ms have not run yet */
    TimerLink slots[TIMERS_LEVELS][TIMERS_SLOTS];
};

void timers_init(Timers *timers, uint64_t now_ms);

/* Arms a timer, or changes its time. A time in the past is due in the next timers_run(). */
void timer_arm(Timers *timers, Timer *timer, uint64_t at_ms, TimerFn fn);
void timer_disarm(Timers *timers, Timer *timer);

static inline bool timer_armed(const Timer *timer) {
    return timer->link.next != NULL;
}

/* Calls the due timers. Each is disarmed before its call; timers of one millisecond run in the
 * order of arming. A call may arm and disarm any timer. */
void timers_run(Timers *timers, uint64_t now_ms, void *ctx);

/* As timers_run(), in slices for when a million timers are due at once: about max steps, each a
 * call or a move of a timer to a lower level. Timers that are left over are due at once, by
 * timers_next(); until then timers->now_ms stays behind. */
void timers_run_some(Timers *timers, uint64_t now_ms, unsigned max, void *ctx);

/* When to call timers_run() next: never later than the first deadline, sometimes earlier.
 * UINT64_MAX: nothing is armed. */
uint64_t timers_next(const Timers *timers);
