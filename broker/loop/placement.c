/* Where the broker's threads run. See placement.h. */

#include "broker/loop/placement.h"

#include <dirent.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/log.h"

enum {
    STAY_MS = 2000,
    CHOOSE_MS = 10, /* in which the kernel may move the loop */
    FEW = 2,        /* processors */
};

DEFINE_CLEANUP(DIR *, closedir);

static cpu_set_t only(int processor) {
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET(processor, &set);
    return set;
}

static bool is_moved_by_others(const Placement *placement) {
    cpu_set_t now, mine = only(placement->at);

    return sched_getaffinity(0, sizeof(now), &now) < 0 || !CPU_EQUAL(&now, &mine);
}

/* All threads of this process; /proc may be missing in a chroot. */
static bool gather(int processor) {
    CLEANUP(closedir) DIR *threads = opendir("/proc/self/task");
    cpu_set_t set = only(processor);
    struct dirent *thread;

    if (!threads)
        return false;
    while ((thread = readdir(threads)))
        if (thread->d_name[0] != '.' &&
            sched_setaffinity((pid_t)strtol(thread->d_name, NULL, 10), sizeof(set), &set) < 0)
            return false;
    return true;
}

static void on_release(Timer *timer, void *ctx);

static void on_gather(Timer *timer, void *ctx) {
    Placement *placement = (Placement *)((char *)timer - offsetof(Placement, timer));
    int processor = sched_getcpu();

    (void)ctx;
    if (processor < 0 || !gather(processor))
        return;
    placement->at = processor;
    timer_arm(placement->timers, timer, placement->timers->now_ms + STAY_MS, on_release);
}

/* The loop alone: where it goes, the others follow. */
static void on_release(Timer *timer, void *ctx) {
    Placement *placement = (Placement *)((char *)timer - offsetof(Placement, timer));

    (void)ctx;
    if (is_moved_by_others(placement)) {
        log_info("the threads were moved from outside, and are left where they are");
        return;
    }
    if (sched_setaffinity(0, sizeof(placement->allowed), &placement->allowed) == 0)
        timer_arm(placement->timers, timer, placement->timers->now_ms + CHOOSE_MS, on_gather);
}

void placement_begin(Placement *placement, Timers *timers, Together together) {
    placement->timers = timers;
    if (together == TOGETHER_NO ||
        sched_getaffinity(0, sizeof(placement->allowed), &placement->allowed) < 0 ||
        CPU_COUNT(&placement->allowed) < 2)
        return;
    if (together == TOGETHER_YES || CPU_COUNT(&placement->allowed) <= FEW)
        on_gather(&placement->timer, NULL);
}
