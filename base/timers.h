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

/* Lives inside what it times. All zero: not armed. */
struct Timer {
    Timer *next, **link; /* link: what points here; NULL: not armed */
    uint64_t at_ms;
    TimerFn fn;
};

enum { TIMERS_LEVELS = 5, TIMERS_SLOTS = 64 };

struct Timers {
    uint64_t now_ms;
    uint64_t n;
    uint64_t busy[TIMERS_LEVELS]; /* a bit for each slot that holds something */
    Timer *slots[TIMERS_LEVELS][TIMERS_SLOTS];
};

void timers_init(Timers *timers, uint64_t now_ms);

/* Arms, or arms anew. A time that has passed comes due in the next timers_run(). */
void timer_arm(Timers *timers, Timer *timer, uint64_t at_ms, TimerFn fn);
void timer_disarm(Timers *timers, Timer *timer);

static inline bool timer_armed(const Timer *timer) {
    return timer->link != NULL;
}

/* Calls what has come due, each disarmed before its call. A call may arm and disarm any timer. */
void timers_run(Timers *timers, uint64_t now_ms, void *ctx);

/* When to call timers_run() next: never later than the first deadline, sometimes earlier.
 * UINT64_MAX: nothing is armed. */
uint64_t timers_next(const Timers *timers);
