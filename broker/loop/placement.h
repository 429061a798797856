#pragma once

/*
 * Where the broker's threads run. Its loop and libzmq's thread hand each other every batch. On two
 * processors each hand-over wakes the other one, by an interrupt, and takes it from the programs
 * that talk to the broker; on one and the same they simply take turns, and batches grow meanwhile.
 * Where there are more processors, the two are faster side by side.
 */

#include <sched.h>

#include "base/timers.h"

typedef enum Together { TOGETHER_AUTO, TOGETHER_YES, TOGETHER_NO } Together;

typedef struct Placement {
    Timers *timers;
    Timer timer;
    cpu_set_t allowed; /* where the broker may run, as it was started */
    int at;            /* the processor its threads share */
} Placement;

/* To be called once all threads are there; *placement then stays where it is as long as timers. The
 * kernel is asked anew, every few seconds, which processor is best; whoever moves the broker's
 * threads from outside is obeyed. */
void placement_begin(Placement *placement, Timers *timers, Together together);
