/* SPDX-License-Identifier: Apache-2.0 */

/* ferry.Broker's methods for recurring jobs. See schedules.h. */

#include "broker/schedules/schedules.h"
#include "broker/admin/admin-private.h"
#include "broker/admin/binds.h"
#include "broker/sessions/user.h"
#include "ferry-broker.h"

/* The queue of a schedule here, or at another broker; empty: there is no schedule of this name. */
static Span queue_of_schedule(const Ask *ask, const char *name) {
    Span queue = schedules_queue_of(ask->broker->schedules, span_text(name));

    if (queue.len == 0)
        schedule_names_find_far(ask->broker->binds, span_text(name), &queue);
    return queue;
}

int method_add_schedule(const Ask *ask, const void *p, Buffer *to, ferry_error *reterr) {
    const ferry_broker_add_schedule_args *args = p;
    Span before = queue_of_schedule(ask, args->name);
    int r = 0;

    (void)to;
    /* The new schedule may replace a schedule for another queue. */
    if (before.len > 0)
        r = admin_check_part(ask, ACTION_MANAGE, before, reterr);
    if (r == -ENOENT)
        return error_set(reterr, "ferry.AlreadyExists",
                         "a schedule of another user has the name '%s'",
                         shown(span_text(args->name)));
    if (r < 0)
        return r;
    if (args->every < 0)
        return error_set(reterr, "ferry.InvalidArgument", "args.every: cannot be negative");
    return schedule_names_add(ask->broker->binds,
                              &(ScheduleParts){.name = span_text(args->name),
                                               .queue = span_text(args->queue),
                                               .cron = span_text(args->cron),
                                               .every_ms = (uint64_t)args->every,
                                               .zone = span_text(args->tz),
                                               .missed = span_text(args->missed),
                                               .body = span_of(args->body.data, args->body.len)},
                              ask->session, ask->id, reterr);
}

int method_remove_schedule(const Ask *ask, const void *p, Buffer *to, ferry_error *reterr) {
    const ferry_broker_remove_schedule_args *args = p;
    Span queue = queue_of_schedule(ask, args->name);
    int r = queue.len > 0 ? admin_check_part(ask, ACTION_MANAGE, queue, reterr) : -ENOENT;

    (void)to;
    if (r == -ENOENT)
        return error_set(reterr, "ferry.NotFound", "there is no schedule '%s'",
                         shown(span_text(args->name)));
    if (r < 0)
        return r;
    if (schedules_queue_of(ask->broker->schedules, span_text(args->name)).len == 0)
        return admin_is_away(ask, queue) ? ANSWERED_LATER : -EREMCHG;
    return schedule_names_remove(ask->broker->binds, span_text(args->name), ask->session, ask->id,
                                 reterr);
}

int method_schedules(const Ask *ask, const void *p, Buffer *to, ferry_error *reterr) {
    (void)p;
    (void)reterr;
    schedules_list(ask->broker->schedules, ask->session, to);
    return 0;
}
