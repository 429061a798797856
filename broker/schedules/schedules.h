/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Recurring jobs: a schedule pushes the same job at each of its moments, which a cron line or an
 * interval gives. Schedules are facts of the store, and so is the last moment of each: a moment has
 * one job, also over a restart.
 *
 * A job and its moment are stored in one step: the moment is the id of the push, and the schedule
 * its client. A broker that was killed before the last moment was kept finds the push instead.
 */

#include "broker/queues/queues.h"
#include "broker/sessions/session.h"

typedef struct Schedules Schedules;

enum {
    SCHEDULES_MAX = 1000,
    SCHEDULE_NAME_MAX = 100,
    SCHEDULE_BODY_MAX = 32 * 1024,
    SCHEDULE_EVERY_MIN_MS = 1000,
    SCHEDULE_LATE_MS = 60000, /* a moment is missed if the broker notices it later than this */
};

/* The rule for moments that were missed, because no broker ran or the queue was full. */
typedef enum Missed {
    MISSED_ONCE, /* one job for all of them, with the last moment */
    MISSED_SKIP, /* no job */
    MISSED_ALL,  /* a job for each of them, in order */
} Missed;

/* Texts and body are lent. */
typedef struct ScheduleParts {
    Span name, queue;
    Span cron;         /* a cron line; empty: every_ms counts */
    uint64_t every_ms; /* from the time when the schedule was added */
    Span zone;         /* of the cron line; empty: UTC */
    Span missed;       /* "once", "skip", "all"; empty: once */
    Span body;
    uint64_t since_ms; /* moments begin after this time of the wall clock, in ms since 1970 */
} ScheduleParts;

/* After queues_new(). */
int schedules_new(Schedules **ret, Broker *broker);
/* Before queues_free(). */
Schedules *schedules_free(Schedules *schedules);

/* Adds a schedule, or puts it in the place of the one with this name. QUEUES_LATER: the session
 * gets the answer to id when the schedule is stored. -EINVAL: a part is wrong, -ENOSPC: there are
 * too many, and *reterr says why; -ENOMEM. */
int schedules_add(Schedules *schedules, const ScheduleParts *parts, Session *session, uint64_t id,
                  ferry_error *reterr);
/* -ENOENT: there is no schedule with this name. */
int schedules_remove(Schedules *schedules, Span name, Session *session, uint64_t id);

/* The queue of a schedule; empty: there is no schedule with this name. */
Span schedules_queue_of(const Schedules *schedules, Span name);
/* Those whose queue the session may see, as a list of maps; see ferry-broker.thrift. */
void schedules_list(const Schedules *schedules, Session *session, Buffer *to);

/* Pushes the jobs that are due at this time of the wall clock. Returns the time of the next look,
 * in ms; UINT64_MAX: there is no schedule. A timer calls it; tests call it with times of their own.
 */
uint64_t schedules_look(Schedules *schedules, uint64_t wall_ms);
