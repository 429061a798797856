/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The records of a job, for each store that writes them. Their times are of the wall clock, which
 * runs while the broker is off; the router uses the monotonic clock. */

#include "broker/stores/record.h"
#include "broker/stores/store.h"

/* How far the wall clock is ahead of the monotonic clock. The wall clock can be set to another
 * time, so look again for each batch. */
typedef struct WallClock {
    int64_t offset_ms;
} WallClock;

void wall_clock_look(WallClock *wall);
/* Convert a time of the monotonic clock to the wall clock, and back. 0 stays 0. */
uint64_t wall_clock_to(WallClock wall, uint64_t ms);
uint64_t wall_clock_from(WallClock wall, uint64_t ms);

/* The fields of a RECORD_JOB or RECORD_TIED, without its push and key. headers and body are
 * borrowed. */
void job_record_of(const StoredJob *job, WallClock wall, DiskRecord *record);
/* The fields of a RECORD_NOTE. */
void job_record_note(const StoredJob *job, WallClock wall, DiskRecord *record);
