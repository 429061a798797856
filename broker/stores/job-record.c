/* SPDX-License-Identifier: Apache-2.0 */
/* The records of a job, and their times. See job-record.h. */

#include "broker/stores/job-record.h"

#include "base/clock.h"

void wall_clock_look(WallClock *wall) {
    wall->offset_ms = (int64_t)clock_wall_ms() - (int64_t)clock_ms();
}

uint64_t wall_clock_to(WallClock wall, uint64_t ms) {
    return ms ? (uint64_t)((int64_t)ms + wall.offset_ms) : 0;
}

uint64_t wall_clock_from(WallClock wall, uint64_t ms) {
    int64_t here = (int64_t)ms - wall.offset_ms;

    return ms == 0 ? 0 : here > 0 ? (uint64_t)here : 1;
}

void job_record_of(const StoredJob *job, WallClock wall, DiskRecord *record) {
    Message content = {0};

    stored_job_content(job, &content);
    *record = (DiskRecord){.type = RECORD_JOB,
                           .id = job->id,
                           .pushed_ms = wall_clock_to(wall, job->pushed_ms),
                           .due_ms = wall_clock_to(wall, job->due_ms),
                           .expires_ms = wall_clock_to(wall, job->expires_ms),
                           .worker = job->worker,
                           .attempt = job->attempt,
                           .priority = job->priority,
                           .held = job->held,
                           .queue = {(const uint8_t *)job->queue->name, job->queue->name_len},
                           .reason = stored_job_reason(job),
                           .headers = content.headers,
                           .body = content.body,
                           .passed = content.passed,
                           .order = stored_job_order(job),
                           .unique = stored_job_unique(job)};
    if (record->order.len > 0 || record->unique.len > 0)
        record->type = RECORD_TIED;
}

void job_record_note(const StoredJob *job, WallClock wall, DiskRecord *record) {
    *record = (DiskRecord){.type = RECORD_NOTE,
                           .id = job->id,
                           .attempt = job->attempt,
                           .due_ms = wall_clock_to(wall, job->due_ms),
                           .worker = job->worker,
                           .held = job->held,
                           .reason = stored_job_reason(job)};
}
