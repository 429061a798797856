/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Memory after a burst. malloc keeps freed memory for the next burst. When the broker is quiet, it
 * gives the memory back to the system.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TRIM_LOOK_MS = 2000 };

typedef struct Trim {
    size_t kept; /* the smallest excess of resident over used bytes so far: it cannot be given
                  * back */
    uint64_t n_batches; /* batches handled before the last look */
    size_t resident;    /* resident bytes at the last look */
    size_t used;        /* used bytes at the last look */
    bool due;           /* the last look returned true */
    unsigned pause;     /* number of looks between two tries, after tries that gave back little */
    unsigned n_looks;   /* number of looks until the next try */
} Trim;

/* One look at the memory: the resident bytes of this process, about how many of them are used, and
 * the number of batches handled so far. True: the broker is quiet, and much memory can be given
 * back now. */
bool trim_look(Trim *trim, size_t resident, size_t used, uint64_t n_batches);

/* Resident bytes of this process; 0: unknown. */
size_t trim_resident(void);

/* Gives back the memory that malloc and the pools of batches keep. Any thread may call it. */
void trim(void);

/* Calls trim() on a thread of its own, because it takes tens of milliseconds. */
void trim_start(void);
