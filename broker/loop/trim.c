/* Memory after a burst. See trim.h. */

#include "broker/loop/trim.h"

#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

enum { WORTH_BYTES = 16 << 20, QUIET_BATCHES = 20000 };

static size_t beyond(size_t resident, size_t used) {
    return resident > used ? resident - used : 0;
}

bool trim_look(Trim *trim, size_t resident, size_t used, uint64_t n_batches) {
    size_t excess = beyond(resident, used);
    bool quiet = n_batches - trim->n_batches < QUIET_BATCHES;

    trim->n_batches = n_batches;
    /* As long as it gives back much it is tried again: libzmq may free some later. Else what is
     * left beyond what was used then cannot be given back. */
    if (trim->due && resident + WORTH_BYTES > trim->resident)
        trim->kept = beyond(resident, trim->used);
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

static void *give_back(void *arg) {
    malloc_trim(0);
    return arg;
}

void trim_start(void) {
    pthread_t thread;

    if (pthread_create(&thread, NULL, give_back, NULL) == 0)
        pthread_detach(thread);
}
