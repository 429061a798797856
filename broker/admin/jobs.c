/* SPDX-License-Identifier: Apache-2.0 */

/* ferry.Broker's methods for one job. See admin-private.h. */

#include "broker/admin/admin-private.h"
#include "broker/queues/shards-private.h"
#include "broker/sessions/user.h"
#include "ferry-broker.h"

/* True: the job's queue is at another broker. The session has got the error. */
static bool is_job_away(const Ask *ask, uint64_t number) {
    const Store *store = shard_of_job(ask->broker->queues, number);
    Problem problem;

    if (!store || !store_is_away(store))
        return false;
    problem_set(&problem, "ferry.Moved", "the queue of job %llu is at another broker",
                (unsigned long long)number);
    problem.away = store;
    problem_answer(ask->session, ask->id, &problem);
    return true;
}

/* 0: the session may do the action on the job's queue. ANSWERED_LATER: it has got an error. If the
 * session may not see the queue, the error says that there is no such job. */
static int check_job(const Ask *ask, int64_t number, Action action, ferry_error *reterr) {
    Queues *queues = ask->broker->queues;
    Span queue = number > 0 ? queues_queue_of_job(queues, (uint64_t)number) : (Span){NULL, 0};
    int r = queue.len > 0 ? admin_check_part(ask, action, queue, reterr) : -ENOENT;

    if (number > 0 && r != -EACCES && is_job_away(ask, (uint64_t)number))
        return ANSWERED_LATER;
    if (r == -ENOENT)
        return error_set(reterr, "ferry.NotFound", "there is no job %lld", (long long)number);
    return r;
}

int method_job(const Ask *ask, const void *p, Buffer *to, ferry_error *reterr) {
    const ferry_broker_job_args *args = p;
    int r = check_job(ask, args->job, ACTION_PEEK, reterr);

    return r != 0 ? r : queues_show_job(ask->broker->queues, (uint64_t)args->job, to);
}

int method_cancel(const Ask *ask, const void *p, Buffer *to, ferry_error *reterr) {
    const ferry_broker_cancel_args *args = p;
    int r = check_job(ask, args->job, ACTION_MANAGE, reterr);

    (void)to;
    return r != 0 ? r
                  : queues_cancel(ask->broker->queues, (uint64_t)args->job, ask->session, ask->id);
}

int method_run_now(const Ask *ask, const void *p, Buffer *to, ferry_error *reterr) {
    const ferry_broker_run_now_args *args = p;
    int r = check_job(ask, args->job, ACTION_MANAGE, reterr);

    write_nil(to);
    if (r == 0)
        r = queues_run_now(ask->broker->queues, (uint64_t)args->job, reterr);
    return r;
}

int method_move_job(const Ask *ask, const void *p, Buffer *to, ferry_error *reterr) {
    const ferry_broker_move_job_args *args = p;
    int r = check_job(ask, args->job, ACTION_MANAGE, reterr);

    (void)to;
    if (r != 0)
        return r;
    if (!session_may(ask->session, ACTION_MANAGE, span_text(args->to)))
        return session_denied(ask->session, "manage", span_text(args->to), reterr);
    r = queues_move_job(ask->broker->queues, (uint64_t)args->job, span_text(args->to), ask->session,
                        ask->id);
    if (r == -EBUSY)
        return error_set(reterr, "ferry.Overloaded",
                         "the store cannot take jobs for other brokers now: try again later");
    return admin_not_moved(ask, r, args->to, reterr);
}
