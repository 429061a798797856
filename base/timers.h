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

/* A link of a ring. The ring contains its slot too. */
typedef struct TimerLink {
    struct TimerLink *next, *prev;
} TimerLink;

/* A timer is a member of the object that needs it. If it is all zero, it is not armed. */
struct Timer {
    TimerLink link; /* if next is NULL, the timer is not armed */
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

/* Calls the functions of the due timers. Each timer is disarmed before its call. Timers of the same
 * millisecond run in the order in which they were armed. A call may arm and disarm any timer. */
void timers_run(Timers *timers, uint64_t now_ms, void *ctx);

/* Like timers_run(), but in slices, because a million timers may be due at once. A slice has about
 * max steps; a step is a call, or a move of a timer to a lower level. If due timers are left over,
 * timers_next() returns the current time, and timers->now_ms stays behind until they have run. */
void timers_run_some(Timers *timers, uint64_t now_ms, unsigned max, void *ctx);

/* The time of the next timers_run(): the first deadline, or sometimes an earlier time. UINT64_MAX:
 * no timer is armed. */
uint64_t timers_next(const Timers *timers);
