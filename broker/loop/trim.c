/* SPDX-License-Identifier: Apache-2.0 */
/* Gives memory back after a burst. See trim.h. */

#include "broker/loop/trim.h"

#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#include "rpc/link/outbox.h"

enum {
    WORTH_BYTES = 16 << 20,
    QUIET_BATCHES = 20000,
    PAUSE_FIRST = 8, /* in looks, of 2 s each: 16 s */
    PAUSE_MAX = 1024 /* half an hour */
};

static size_t beyond(size_t resident, size_t used) {
    return resident > used ? resident - used : 0;
}

bool trim_look(Trim *trim, size_t resident, size_t used, uint64_t n_batches) {
    size_t excess = beyond(resident, used);
    bool quiet = n_batches - trim->n_batches < QUIET_BATCHES;

    trim->n_batches = n_batches;
    if (trim->due && resident + WORTH_BYTES > trim->resident) {
        /* The rest of the excess is in use, or libzmq frees it later: try again after a pause. */
        trim->kept = beyond(resident, trim->used);
        trim->pause = trim->pause == 0          ? PAUSE_FIRST
                      : trim->pause < PAUSE_MAX ? trim->pause * 2
                                                : PAUSE_MAX;
        trim->n_looks = trim->pause;
    } else if (trim->due) {
        trim->pause = 0;
    } else if (trim->n_looks > 0 && --trim->n_looks == 0) {
        trim->kept = 0;
    }
    if (excess < trim->kept)
        trim->kept = excess;
    trim->due = quiet && excess >= trim->kept + WORTH_BYTES;
    trim->resident = resident;
    trim->used = used;
    return trim->due;
}

size_t trim_resident(void) {
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");

    if (!file)
        return 0;
    if (fscanf(file, "%*u %lu", &pages) != 1)
        pages = 0;
    fclose(file);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

void trim(void) {
    chunks_trim();
    malloc_trim(0);
}

static void *give_back(void *arg) {
    trim();
    return arg;
}

void trim_start(void) {
    pthread_t thread;

    if (pthread_create(&thread, NULL, give_back, NULL) == 0)
        pthread_detach(thread);
}
