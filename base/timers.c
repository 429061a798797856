/* SPDX-License-Identifier: Apache-2.0 */
/* A hierarchical timing wheel. See timers.h. */

#include "base/timers.h"

#include <assert.h>
#include <limits.h>

/* Level l has slots of 64^l ms. The levels reach 64^5 ms, which are 12 days. A timer beyond that
 * waits in the farthest slot of the last level, and is inserted again when that slot is reached. */
enum { BITS = 6, MASK = TIMERS_SLOTS - 1 };

static_assert(offsetof(Timer, link) == 0, "the links of a ring are Timers");

static unsigned slot_of(uint64_t at_ms, int level) {
    return (unsigned)(at_ms >> (BITS * level)) & MASK;
}

void timers_init(Timers *timers, uint64_t now_ms) {
    *timers = (Timers){.now_ms = now_ms};
    for (int level = 0; level < TIMERS_LEVELS; level++)
        for (int slot = 0; slot < TIMERS_SLOTS; slot++) {
            TimerLink *ring = &timers->slots[level][slot];

            ring->next = ring->prev = ring;
        }
}

static void insert(Timers *timers, Timer *timer, uint64_t earliest_ms) {
    uint64_t at = timer->at_ms > earliest_ms ? timer->at_ms : earliest_ms;
    uint64_t span = UINT64_C(1) << (BITS * TIMERS_LEVELS);
    int level = 0;

    if (at - timers->now_ms >= span)
        at = timers->now_ms + span - 1;
    /* The lowest level on which both times have the same higher digits. */
    while (level < TIMERS_LEVELS - 1 &&
           (at >> (BITS * (level + 1))) != (timers->now_ms >> (BITS * (level + 1))))
        level++;

    unsigned slot = slot_of(at, level);
    TimerLink *ring = &timers->slots[level][slot];

    timer->link.next = ring;
    timer->link.prev = ring->prev;
    ring->prev->next = &timer->link;
    ring->prev = &timer->link;
    timers->busy[level] |= UINT64_C(1) << slot;
}

static void take_out(Timers *timers, Timer *timer) {
    TimerLink *next = timer->link.next, *prev = timer->link.prev;

    next->prev = prev;
    prev->next = next;
    timer->link = (TimerLink){NULL, NULL};
    /* Clear the bit of an empty slot, so that timers_next() does not wake without need. */
    if (next == prev) {
        size_t i = (size_t)(next - &timers->slots[0][0]);

        timers->busy[i / TIMERS_SLOTS] &= ~(UINT64_C(1) << (i % TIMERS_SLOTS));
    }
}

void timer_arm(Timers *timers, Timer *timer, uint64_t at_ms, TimerFn fn) {
    timer_disarm(timers, timer);
    timer->at_ms = at_ms;
    timer->fn = fn;
    insert(timers, timer, timers->now_ms + 1);
    timers->n++;
}

void timer_disarm(Timers *timers, Timer *timer) {
    if (!timer_armed(timer))
        return;
    take_out(timers, timer);
    timers->n--;
}

/* Removes and returns the first timer of a slot; NULL: the slot is empty. */
static Timer *take_first(Timers *timers, int level, unsigned slot) {
    Timer *timer;

    if (!(timers->busy[level] & UINT64_C(1) << slot))
        return NULL;
    timer = (Timer *)timers->slots[level][slot].next;
    take_out(timers, timer);
    return timer;
}

/* Runs the timers due at now_ms, in at most *left steps. It goes from the top level down, and
 * distributes a slot whose time has come over the lower levels. Meanwhile these slots get no new
 * timers, because timers that are armed now are due later. */
static void run_tick(Timers *timers, unsigned *left, void *ctx) {
    uint64_t tick = timers->now_ms;
    Timer *timer;

    for (int level = TIMERS_LEVELS - 1; level > 0; level--) {
        if ((tick & ((UINT64_C(1) << (BITS * level)) - 1)) != 0)
            continue;
        for (; *left > 0 && (timer = take_first(timers, level, slot_of(tick, level))); --*left)
            insert(timers, timer, tick);
    }
    for (; *left > 0 && (timer = take_first(timers, 0, slot_of(tick, 0))); --*left) {
        timers->n--;
        timer->fn(timer, ctx);
    }
    timers->halfway = *left == 0;
}

/* The first tick after now with work to do. */
static uint64_t next_tick(const Timers *timers) {
    uint64_t best = UINT64_MAX;

    for (int level = 0; level < TIMERS_LEVELS; level++) {
        unsigned shift = (unsigned)(BITS * level);
        uint64_t digit = (timers->now_ms >> shift) & MASK;
        uint64_t base = timers->now_ms >> shift;
        uint64_t busy = timers->busy[level];

        if (!busy)
            continue;
        /* Rotate so that the slot after the current slot is bit 0. */
        unsigned first = (unsigned)((digit + 1) & MASK);
        uint64_t turned = first ? busy >> first | busy << (TIMERS_SLOTS - first) : busy;
        uint64_t tick = (base + 1 + (uint64_t)__builtin_ctzll(turned)) << shift;

        if (tick < best)
            best = tick;
    }
    return best;
}

uint64_t timers_next(const Timers *timers) {
    if (timers->n == 0)
        return UINT64_MAX;
    return timers->halfway ? timers->now_ms : next_tick(timers);
}

void timers_run_some(Timers *timers, uint64_t now_ms, unsigned max, void *ctx) {
    unsigned left = max;

    if (timers->halfway)
        run_tick(timers, &left, ctx);
    while (timers->n > 0 && left > 0) {
        uint64_t tick = next_tick(timers);

        if (tick > now_ms)
            break;
        timers->now_ms = tick;
        run_tick(timers, &left, ctx);
    }
    if (now_ms > timers->now_ms && left > 0)
        timers->now_ms = now_ms;
}

void timers_run(Timers *timers, uint64_t now_ms, void *ctx) {
    timers_run_some(timers, now_ms, UINT_MAX, ctx);
}
