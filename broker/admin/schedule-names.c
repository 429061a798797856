/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Schedules of brokers that share queues: a schedule is a fact of the shard of its queue, and its
 * name exists once in the cluster. A new name is announced first, as a bind is. When all brokers
 * know it, the schedule is kept, unless another broker has announced the same name: so one of two
 * brokers that add it at the same time, or both, refuse it. See binds-private.h.
 */

#include <errno.h>
#include <stdlib.h>
#include <utlist.h>

#include "broker/admin/binds-private.h"
#include "broker/queues/shards-private.h"
#include "broker/schedules/schedules.h"

/* A command that waits until all brokers of the cluster know the announcement. */
struct ScheduleChange {
    ScheduleChange *prev, *next; /* in binds->schedule_changes, in the order of their numbers */
    Session *session;            /* gets the answer to id; NULL: the session is gone */
    uint64_t id;
    uint64_t number; /* of the announcement */
    unsigned shard;
    bool is_removal;
    ScheduleParts parts; /* texts and body are in `bytes` */
    uint8_t bytes[];
};

/* ---- announcements ---- */

static bool is_same(Span a, Span b) {
    return a.len == b.len && memcmp(a.data, b.data, a.len) == 0;
}

static ScheduleChange *find_change(const Binds *binds, Span name) {
    ScheduleChange *change;

    DL_FOREACH(binds->schedule_changes, change) {
        if (is_same(change->parts.name, name))
            break;
    }
    return change;
}

typedef struct NameList {
    const Binds *binds;
    Buffer *to; /* NULL: only count */
    uint32_t n;
} NameList;

static void write_name(NameList *names, const ScheduleParts *parts) {
    names->n++;
    if (names->to)
        remote_binds_write_schedule(names->to, parts->queue, parts->name);
}

/* A name that is being removed is free already. */
static void on_schedule(const ScheduleParts *parts, void *ctx) {
    NameList *names = ctx;

    if (!find_change(names->binds, parts->name))
        write_name(names, parts);
}

uint32_t schedule_names_write(const Binds *binds, unsigned shard, Buffer *to) {
    NameList names = {binds, to, 0};
    const ScheduleChange *change;

    if (!binds->broker->schedules)
        return 0;
    schedules_each(binds->broker->schedules, shard, on_schedule, &names);
    DL_FOREACH(binds->schedule_changes, change) {
        if (change->shard == shard && !change->is_removal)
            write_name(&names, &change->parts);
    }
    return names.n;
}

static uint64_t announce(const Binds *binds, unsigned shard) {
    return binds->relay->ops->announce(binds->relay, shard - 1);
}

static void on_change(unsigned shard, void *ctx) {
    const Binds *binds = ctx;

    if (binds->relay && shard > 0 && !binds->broker->queues->shards[shard - 1].store->away)
        announce(binds, shard);
}

void schedule_names_watch(Binds *binds) {
    if (binds->broker->schedules)
        schedules_watch(binds->broker->schedules, on_change, binds);
}

bool schedule_names_find_far(const Binds *binds, Span name, Span *ret_queue) {
    unsigned shard = 0;

    for (; remote_binds_find_schedule(binds->remote, name, &shard, ret_queue); shard++)
        if (binds->broker->queues->shards[shard].store->away)
            return true;
    return false;
}

/* ---- changes ---- */

static int begin(Binds *binds, unsigned shard, const ScheduleParts *parts, bool is_removal,
                 Session *session, uint64_t id) {
    ScheduleChange *change = calloc(1, sizeof(*change) + schedule_parts_size(parts));

    if (!change)
        return -ENOMEM;
    change->session = session;
    change->id = id;
    change->shard = shard;
    change->is_removal = is_removal;
    change->parts = schedule_parts_copy(parts, change->bytes);
    DL_APPEND(binds->schedule_changes, change);
    binds->n_schedule_changes++;
    change->number = announce(binds, shard);
    return QUEUES_LATER;
}

static int exists_far(const ScheduleParts *parts, Span queue, ferry_error *reterr) {
    return error_set(reterr, "ferry.AlreadyExists",
                     "the schedule '%s' exists for the queue '%s' in another shard: remove it "
                     "first",
                     shown(parts->name), shown(queue));
}

static void answer(const Binds *binds, const ScheduleChange *change, int r, ferry_error *error) {
    const Store *away = shard_away(binds->broker->queues, change->parts.queue);
    Problem problem;

    if (!change->session || !change->id)
        return;
    if (r == -EREMCHG && away) {
        problem_set_moved(&problem, change->parts.queue, away);
        problem_answer(change->session, change->id, &problem);
        return;
    }
    if (!error->type)
        error_set_code(error, r, NULL);
    session_error(change->session, change->id, error->type, "%s", error->message);
}

static void end(Binds *binds, ScheduleChange *change) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    Schedules *schedules = binds->broker->schedules;
    Span far;
    int r;

    DL_DELETE(binds->schedule_changes, change);
    binds->n_schedule_changes--;
    if (shard_away(binds->broker->queues, change->parts.queue))
        r = -EREMCHG;
    else if (change->is_removal)
        r = schedules_remove(schedules, change->parts.name, change->session, change->id);
    else if (schedule_names_find_far(binds, change->parts.name, &far))
        r = exists_far(&change->parts, far, &error);
    else
        r = schedules_add(schedules, &change->parts, change->session, change->id, &error);
    if (r < 0) {
        on_change(change->shard, binds);
        answer(binds, change, r, &error);
    }
    free(change);
}

void schedule_names_known(Binds *binds, uint64_t number) {
    while (binds->schedule_changes && binds->schedule_changes->number <= number)
        end(binds, binds->schedule_changes);
}

void schedule_names_session_gone(Binds *binds, const Session *session) {
    ScheduleChange *change;

    DL_FOREACH(binds->schedule_changes, change) {
        if (change->session == session)
            change->session = NULL;
    }
}

void schedule_names_free(Binds *binds) {
    ScheduleChange *change, *next;

    DL_FOREACH_SAFE(binds->schedule_changes, change, next) {
        DL_DELETE(binds->schedule_changes, change);
        free(change);
    }
}

/* ---- commands ---- */

/* False: reterr says why no change can begin now. */
static bool may_begin(const Binds *binds, Span name, ferry_error *reterr) {
    if (!find_change(binds, name) && binds->n_schedule_changes < BIND_CHANGES_MAX)
        return true;
    error_set(reterr, "ferry.Overloaded", "the schedule '%s' is being changed: try again soon",
              shown(name));
    return false;
}

int schedule_names_add(Binds *binds, const ScheduleParts *parts, Session *session, uint64_t id,
                       ferry_error *reterr) {
    Schedules *schedules = binds->broker->schedules;
    unsigned shard = 0;
    int r = schedules_check(schedules, parts, &shard, reterr);
    Span far;

    if (r < 0)
        return r;
    if (schedule_names_find_far(binds, parts->name, &far))
        return exists_far(parts, far, reterr);
    if (!binds->relay || shard == 0)
        return schedules_add(schedules, parts, session, id, reterr);
    if (!may_begin(binds, parts->name, reterr))
        return -EBUSY;
    return schedules_queue_of(schedules, parts->name).len > 0
               ? schedules_add(schedules, parts, session, id, reterr)
               : begin(binds, shard, parts, false, session, id);
}

int schedule_names_remove(Binds *binds, Span name, Session *session, uint64_t id,
                          ferry_error *reterr) {
    Schedules *schedules = binds->broker->schedules;
    unsigned shard = schedules_shard_of(schedules, name);
    ScheduleParts parts = {.name = name, .queue = schedules_queue_of(schedules, name)};

    if (!binds->relay || shard == 0)
        return schedules_remove(schedules, name, session, id);
    return may_begin(binds, name, reterr) ? begin(binds, shard, &parts, true, session, id) : -EBUSY;
}
