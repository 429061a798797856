#pragma once

/*
 * Memory after a burst. malloc keeps what was freed, and it is right to: the next burst finds it.
 * When little is going on it goes back to the system.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TRIM_LOOK_MS = 2000 };

typedef struct Trim {
    size_t kept;        /* beyond what is used, as little as it has been: cannot be given back */
    uint64_t n_batches; /* at the last look */
    size_t resident;    /* likewise */
    size_t used;        /* likewise */
    bool due;           /* likewise */
    unsigned pause;     /* looks between two tries that give back little */
    unsigned n_looks;   /* left of it */
} Trim;

/* At each look: resident bytes of this process, about how many of them are in use, and batches
 * handled so far. True: it is quiet, and much could be given back: now. */
bool trim_look(Trim *trim, size_t resident, size_t used, uint64_t n_batches);

/* Resident bytes of this process; 0: the system does not tell. */
size_t trim_resident(void);

/* On a thread of its own, for it takes tens of milliseconds. */
void trim_start(void);
