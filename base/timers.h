#pragma once

/*
 * Deadlines by the thousand: a hierarchical timing wheel with ticks of one millisecond (Varghese
 * and Lauck, 1987). Arming and disarming cost a few pointer writes; nothing is allocated.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct Timer Timer;
typedef struct Timers Timers;
typedef void (*TimerFn)(Timer *timer, void *ctx);

/* Of a ring that begins and ends with its slot. */
typedef struct TimerLink {
    struct TimerLink *next, *prev;
} TimerLink;

/* Lives inside what it times. All zero: not armed. */
struct Timer {
    TimerLink link; /* next NULL: not armed */
    uint64_t at_ms;
    TimerFn fn;
};

enum { TIMERS_LEVELS = 5, TIMERS_SLOTS = 64 };

struct Timers {
    uint64_t now_ms;
    uint64_t n;
    uint64_t busy[TIMERS_LEVELS]; /* a bit for each slot that holds something */
    bool halfway;                 /* what is due at now_ms is not done yet */
    TimerLink slots[TIMERS_LEVELS][TIMERS_SLOTS];
};

void timers_init(Timers *timers, uint64_t now_ms);

/* Arms, or arms anew. A time that has passed comes due in the next timers_run(). */
void timer_arm(Timers *timers, Timer *timer, uint64_t at_ms, TimerFn fn);
void timer_disarm(Timers *timers, Timer *timer);

static inline bool timer_armed(const Timer *timer) {
    return timer->link.next != NULL;
}

/* Calls what has come due, each disarmed before its call, those of one millisecond in the order of
 * arming. A call may arm and disarm any timer. */
void timers_run(Timers *timers, uint64_t now_ms, void *ctx);

/* The same in slices, where a million may come due at once: about so many steps, each of them a
 * call, or a timer moved to where it is looked for next. What is left over is due at once, by
 * timers_next(); until then timers->now_ms stays behind. */
void timers_run_some(Timers *timers, uint64_t now_ms, unsigned max, void *ctx);

/* When to call timers_run() next: never later than the first deadline, sometimes earlier.
 * UINT64_MAX: nothing is armed. */
uint64_t timers_next(const Timers *timers);
