/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Memory after a burst. malloc keeps freed memory, so that the next burst finds it. When the broker
 * is quiet, the memory goes back to the system.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TRIM_LOOK_MS = 2000 };

typedef struct Trim {
    size_t kept; /* the smallest excess over the used bytes so far: it cannot be given back */
    uint64_t n_batches; /* at the last look */
    size_t resident;    /* likewise */
    size_t used;        /* likewise */
    bool due;           /* likewise */
    unsigned pause;     /* looks between two tries that gave back little */
    unsigned n_looks;   /* looks until the next try */
} Trim;

/* One look: the resident bytes of this process, about how many of them are used, and the
 * batches handled so far. True: the broker is quiet, and much memory can be given back now. */
bool trim_look(Trim *trim, size_t resident, size_t used, uint64_t n_batches);

/* Resident bytes of this process; 0: unknown. */
size_t trim_resident(void);

/* Gives back the memory that malloc and the pools of batches keep. Any thread may call it. */
void trim(void);

/* The same, on a thread of its own: that takes tens of milliseconds. */
void trim_start(void);
