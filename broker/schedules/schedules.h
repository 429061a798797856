/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Recurring jobs: a schedule pushes the same job at each of its moments, which follow from a cron
 * line or an interval. Schedules are facts of the store, and so is the last moment of each
 * schedule: a moment has one job, even if the broker is restarted.
 *
 * A job and its moment are stored in one step: the moment is the id of the push, and the schedule
 * is its client. If a broker is killed before it keeps the last moment, the next broker finds the
 * push instead.
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

/* The rule for missed moments: the broker did not run, or the queue was full. */
typedef enum Missed {
    MISSED_ONCE, /* one job for all missed moments, with the last one */
    MISSED_SKIP, /* no job for missed moments */
    MISSED_ALL,  /* a job for each missed moment, in order */
} Missed;

/* The parts of a schedule. Texts and body are borrowed. */
typedef struct ScheduleParts {
    Span name, queue;
    Span cron;         /* a cron line; empty: every_ms is used */
    uint64_t every_ms; /* an interval that begins when the schedule is added */
    Span zone;         /* time zone of the cron line; empty: UTC */
    Span missed;       /* "once", "skip" or "all"; empty: once */
    Span body;
    uint64_t since_ms; /* moments begin after this time of the wall clock, in ms since 1970 */
} ScheduleParts;

/* The bytes of all texts and the body; and the parts with copies of them in this memory. */
size_t schedule_parts_size(const ScheduleParts *parts);
ScheduleParts schedule_parts_copy(const ScheduleParts *parts, uint8_t *to);

/* Call it after queues_new(). */
int schedules_new(Schedules **ret, Broker *broker);
/* Call it before queues_free(). */
Schedules *schedules_free(Schedules *schedules);

/* Checks what schedules_add() does. *ret_shard: the shard that keeps it, as in Store; 0: it is in
 * no shard. */
int schedules_check(Schedules *schedules, const ScheduleParts *parts, unsigned *ret_shard,
                    ferry_error *reterr);
/* Adds a schedule, or replaces the schedule with this name. QUEUES_LATER: the session gets the
 * answer to id when the schedule is stored. -EINVAL: a part is wrong, or -ENOSPC: there are too
 * many schedules, and *reterr says why; -ENOMEM. */
int schedules_add(Schedules *schedules, const ScheduleParts *parts, Session *session, uint64_t id,
                  ferry_error *reterr);
/* -ENOENT: no schedule has this name. */
int schedules_remove(Schedules *schedules, Span name, Session *session, uint64_t id);

/* The queue of a schedule; empty: no schedule has this name. */
Span schedules_queue_of(const Schedules *schedules, Span name);
unsigned schedules_shard_of(const Schedules *schedules, Span name); /* 0: in no shard */

/* Calls fn for each schedule of a shard. */
typedef void (*ScheduleFn)(const ScheduleParts *parts, void *ctx);
void schedules_each(const Schedules *schedules, unsigned shard, ScheduleFn fn, void *ctx);
/* fn is called after a schedule of a shard was added or removed. */
void schedules_watch(Schedules *schedules, void (*fn)(unsigned shard, void *ctx), void *ctx);

/* Writes the schedules whose queues the session may see, as a list of maps; see
 * ferry-broker.thrift. */
void schedules_list(const Schedules *schedules, Session *session, Buffer *to);

/* Pushes the jobs that are due at this time of the wall clock. Returns the time of the next look,
 * in ms; UINT64_MAX: there is no schedule. A timer calls it; tests call it with their own times. */
uint64_t schedules_look(Schedules *schedules, uint64_t wall_ms);
