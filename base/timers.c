/* A hierarchical timing wheel. See timers.h. */

#include "base/timers.h"

/* Level l has slots of 64^l ms. What lies beyond the last level waits in its farthest slot and is
 * sorted in again when that slot comes round: 64^5 ms are 12 days. */
enum { BITS = 6, MASK = TIMERS_SLOTS - 1 };

void timers_init(Timers *timers, uint64_t now_ms) {
    *timers = (Timers){.now_ms = now_ms};
}

static void insert(Timers *timers, Timer *timer, uint64_t earliest_ms) {
    uint64_t at = timer->at_ms > earliest_ms ? timer->at_ms : earliest_ms;
    uint64_t span = UINT64_C(1) << (BITS * TIMERS_LEVELS);
    int level = 0;

    if (at - timers->now_ms >= span)
        at = timers->now_ms + span - 1;
    /* The lowest level on which now and then still share all higher digits... */
    while (level < TIMERS_LEVELS - 1 &&
           (at >> (BITS * (level + 1))) != (timers->now_ms >> (BITS * (level + 1))))
        level++;

    unsigned slot = (unsigned)(at >> (BITS * level)) & MASK;
    Timer **head = &timers->slots[level][slot];

    timer->next = *head;
    if (timer->next)
        timer->next->link = &timer->next;
    timer->link = head;
    *head = timer;
    timers->busy[level] |= UINT64_C(1) << slot;
}

static void unlink_timer(Timer *timer) {
    *timer->link = timer->next;
    if (timer->next)
        timer->next->link = timer->link;
    timer->link = NULL;
    timer->next = NULL;
}

void timer_arm(Timers *timers, Timer *timer, uint64_t at_ms, TimerFn fn) {
    timer_disarm(timers, timer);
    timer->at_ms = at_ms;
    timer->fn = fn;
    insert(timers, timer, timers->now_ms + 1);
    timers->n++;
}

void timer_disarm(Timers *timers, Timer *timer) {
    Timer **first = &timers->slots[0][0], **link = timer->link;

    if (!link)
        return;
    unlink_timer(timer);
    timers->n--;
    /* The last one out of a slot turns off its light, or timers_next() would wake for nothing. */
    if (!*link && link >= first && link < first + (size_t)TIMERS_LEVELS * TIMERS_SLOTS) {
        size_t i = (size_t)(link - first);

        timers->busy[i / TIMERS_SLOTS] &= ~(UINT64_C(1) << (i % TIMERS_SLOTS));
    }
}

/* Takes the whole slot and sorts each of its timers in again: further down, or due. */
static void cascade(Timers *timers, int level, unsigned slot) {
    Timer *timer = timers->slots[level][slot];

    timers->slots[level][slot] = NULL;
    timers->busy[level] &= ~(UINT64_C(1) << slot);
    while (timer) {
        Timer *next = timer->next;

        timer->link = NULL;
        insert(timers, timer, timers->now_ms);
        timer = next;
    }
}

static void fire(Timers *timers, unsigned slot, void *ctx) {
    Timer *due = timers->slots[0][slot];

    timers->slots[0][slot] = NULL;
    timers->busy[0] &= ~(UINT64_C(1) << slot);
    if (due)
        due->link = &due;
    while (due) {
        Timer *timer = due;

        unlink_timer(timer);
        timers->n--;
        timer->fn(timer, ctx);
    }
}

/* The first tick after now at which something is to be done. */
static uint64_t next_tick(const Timers *timers) {
    uint64_t best = UINT64_MAX;

    for (int level = 0; level < TIMERS_LEVELS; level++) {
        unsigned shift = (unsigned)(BITS * level);
        uint64_t digit = (timers->now_ms >> shift) & MASK;
        uint64_t base = timers->now_ms >> shift;
        uint64_t busy = timers->busy[level];

        if (!busy)
            continue;
        /* Rotate so that the slot after the present one is bit 0. */
        unsigned first = (unsigned)((digit + 1) & MASK);
        uint64_t turned = first ? busy >> first | busy << (TIMERS_SLOTS - first) : busy;
        uint64_t tick = (base + 1 + (uint64_t)__builtin_ctzll(turned)) << shift;

        if (tick < best)
            best = tick;
    }
    return best;
}

uint64_t timers_next(const Timers *timers) {
    return timers->n == 0 ? UINT64_MAX : next_tick(timers);
}

void timers_run(Timers *timers, uint64_t now_ms, void *ctx) {
    while (timers->n > 0) {
        uint64_t tick = next_tick(timers);

        if (tick > now_ms)
            break;
        /* Down from the top: a slot whose time has come is spread over the levels below it. */
        timers->now_ms = tick;
        for (int level = TIMERS_LEVELS - 1; level > 0; level--)
            if ((tick & ((UINT64_C(1) << (BITS * level)) - 1)) == 0)
                cascade(timers, level, (unsigned)(tick >> (BITS * level)) & MASK);
        fire(timers, (unsigned)tick & MASK, ctx);
    }
    if (now_ms > timers->now_ms)
        timers->now_ms = now_ms;
}
