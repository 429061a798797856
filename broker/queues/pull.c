/* SPDX-License-Identifier: Apache-2.0 */

/* PULL and UNPULL, and the delivery of jobs: round robin over the pulls with free slots. See
 * queues-private.h. */

#include <utlist.h>

#include "base/container.h"
#include "broker/queues/jobs-private.h"
#include "broker/queues/pulls-private.h"
#include "broker/queues/queues-private.h"
#include "broker/queues/shards-private.h"

enum { QUARANTINE_LOOKS = 16 }; /* pulls that are searched for one without jobs in flight */

/* ---- PULL and UNPULL ---- */

void queues_pull(Queues *queues, Session *session, const Message *message) {
    uint64_t slots = message->pull.slots ? message->pull.slots : 1;
    const Limits *limits = &queues->broker->limits;
    const Store *away = shard_away(queues, message->name);
    Problem problem;
    Queue *queue;
    Pull *pull;

    if (!message->id) {
        session_error(session, 0, "ferry.InvalidArgument", "PULL needs an id: its jobs carry it");
        return;
    }
    if (id_map_get(&session->pulls, message->id)) {
        session_fault(session, "PULL: another pull of this session has the id %llu",
                      (unsigned long long)message->id);
        return;
    }
    if (message->pull.bytes > WIRE_CREDIT_MAX) {
        session_error(session, message->id, "ferry.InvalidArgument", "PULL: bytes is over 64 MiB");
        return;
    }
    if (slots > limits->max_slots) {
        session_error(session, message->id, "ferry.InvalidArgument",
                      "PULL: %llu slots are too many: max_slots is %u", (unsigned long long)slots,
                      limits->max_slots);
        return;
    }
    if (session->pulls.n >= limits->max_pulls) {
        session_error(session, message->id, "ferry.Full",
                      "PULL: the session has %u pulls already (max_pulls)", limits->max_pulls);
        return;
    }
    if (away && !message->pull.wait) {
        problem_set_moved(&problem, message->name, away);
        problem_answer(session, message->id, &problem);
        return;
    }
    queue = queue_get(queues, message->name, &problem);
    if (!queue) {
        session_error(session, message->id, problem.type, "%s", problem.text);
        return;
    }
    pull = slabs_alloc(&queues->slabs, sizeof(*pull));
    if (!pull || !in_flight_of(queues, session->client) ||
        id_map_put(&session->pulls, message->id, pull) < 0) {
        slabs_free(&queues->slabs, pull, sizeof(*pull));
        queue_maybe_idle(queue);
        session_error(session, message->id, "ferry.OutOfMemory", "the broker is out of memory");
        return;
    }
    *pull = (Pull){.queue = queue,
                   .session = session,
                   .id = message->id,
                   .slots = (uint32_t)slots,
                   .credit = (int64_t)message->pull.bytes,
                   .metered = message->pull.bytes > 0,
                   .waits = message->pull.wait != 0,
                   .state = PULL_FULL};
    DL_APPEND2(queue->pulls, pull, queue_prev, queue_next);
    queue->n_pulls++;
    session_ok(session, LANE_CALLS, message->id, 0);
    pull_set(pull, PULL_FREE);
    if (!away) {
        queue_dispatch(queue);
        return;
    }
    if (queue->n_pulls == 1)
        queue->told_away = true;
    if (away->away && away->owner.is_known)
        shard_tell_moved(pull);
}

void queues_unpull(Queues *queues, Session *session, const Message *message) {
    Pull *pull = id_map_take(&session->pulls, message->unpull.pull);

    (void)queues;
    if (!pull) {
        session_error(session, message->id, "ferry.NotFound",
                      "UNPULL: this session has no pull %llu",
                      (unsigned long long)message->unpull.pull);
        return;
    }
    pull_end(pull);
    session_ok(session, LANE_CALLS, message->id, 0);
}

bool queues_more(Queues *queues, Session *session, const Message *message) {
    Pull *pull = id_map_get(&session->pulls, message->id);

    (void)queues;
    if (!pull)
        return false;
    if (!pull->metered)
        return true;
    pull->credit = credit_add(pull->credit, message->more.bytes);
    if (pull->state == PULL_FULL && !pull_is_full(pull)) {
        pull_set(pull, PULL_FREE);
        queue_dispatch(pull->queue);
    }
    return true;
}

void pulls_session_gone(Queues *queues, Session *session) {
    size_t pos = 0;
    Pull *pull;

    (void)queues;
    while ((pull = id_map_next(&session->pulls, &pos)))
        pull_end(pull);
    id_map_deinit(&session->pulls);
}

/* ---- delivery ---- */

/* A session that does not read gets no jobs until it reads. If no other bytes wait for it, it gets
 * a job of any size. */
static inline bool has_room(const Pull *pull, const Job *job) {
    size_t waiting = session_waiting(pull->session);

    if (pull->session->ending)
        return false;
    return waiting == 0 ||
           (waiting + job_bytes(job) <= pull->queue->queues->broker->limits.max_subscriber_bytes &&
            session_may_get(pull->session, job_bytes(job)));
}

static void send_job(Queues *queues, Pull *pull, const Job *job) {
    Message *message = &queues->job;
    const void *block = stored_job_content(&job->stored, message);

    message->job.pull = pull->id;
    message->job.job = job->stored.id;
    message->job.attempt = job->stored.attempt;
    if (__builtin_expect(queues->broker->tap_generation != 0, 0))
        queue_tap(pull->queue, true, OP_JOB, pull->session, job->stored.id, message_body(message));
    if (pull->metered)
        pull->credit -= (int64_t)(message_body(message).len + WIRE_ITEM_COST);
    session_send(pull->session, LANE_BULK, message, block);
}

/* ---- limits of a queue over all its workers ---- */

/* If timers and turns deliver a job later than the rate allows, the queue makes up for at most this
 * time. */
enum { RATE_SLACK_US = 10000 };

static void on_rate(Timer *timer, void *ctx) {
    (void)ctx;
    queue_touch(container_of(timer, Queue, rate_timer));
}

/* False: max_working jobs are in flight, or the rate does not allow the next job yet. */
static bool may_deliver(Queue *queue) {
    Broker *broker = queue->queues->broker;
    uint64_t at_ms;

    if (queue->settings.max_working && queue->n_in_flight >= queue->settings.max_working)
        return false;
    if (!queue->settings.rate || queue->rate_at_us <= broker->now_ms * 1000)
        return true;
    at_ms = (queue->rate_at_us + 999) / 1000;
    if (!timer_armed(&queue->rate_timer))
        timer_arm(&broker->timers, &queue->rate_timer, at_ms, on_rate);
    return false;
}

static void count_rate(Queue *queue) {
    uint64_t now_us = queue->queues->broker->now_ms * 1000;

    if (queue->rate_at_us + RATE_SLACK_US < now_us)
        queue->rate_at_us = now_us;
    queue->rate_at_us += queue_rate_us(&queue->settings);
}

static void deliver(Queue *queue, Pull *pull, Job *job) {
    Queues *queues = queue->queues;
    InFlight *in_flight = pull->session->client->in_flight;

    job_leave(job);
    job->state = JOB_IN_FLIGHT;
    job->u.pull = pull;
    job->session = pull->session;
    job->in_flight = in_flight;
    job->stored.worker = worker_key(pull->session);
    job->stored.held = true;
    DL_APPEND(in_flight->jobs, job);
    queue->n_in_flight++;
    if (job->stored.attempt++ > 0) {
        queue->n_redelivered++;
        queues->broker->stats.redelivered++;
    }
    lease_begin(job);
    if (queue->settings.rate)
        count_rate(queue);

    pull->n_in_flight++;
    store_note(queue->settings.store, &job->stored);
    send_job(queues, pull, job);
    if (pull_is_full(pull))
        pull_set(pull, PULL_FULL);
    else if (pull->next)
        pull_set(pull, PULL_FREE); /* to the end of the list: the other pulls have their turns
                                    * first */
}

/* The pull for a quarantined job must have no other job in flight. If all pulls have jobs in
 * flight, the broker reserves a pull, which gets no more jobs until its jobs are settled. */
static Pull *pull_for_quarantined(Queue *queue) {
    Pull *pull = queue->free;

    if (queue->reserved)
        return queue->reserved;
    for (int looks = 0; pull && pull->n_in_flight > 0 && looks < QUARANTINE_LOOKS; looks++)
        pull = pull->next;
    if (!pull || pull->n_in_flight > 0)
        pull = queue->free;
    if (pull)
        pull_set(pull, PULL_RESERVED);
    return pull;
}

static void dispatch_quarantined(Queue *queue) {
    Pull *pull;

    while (queue->quarantined && !job_is_over(queue->quarantined) && may_deliver(queue) &&
           (pull = pull_for_quarantined(queue)) && pull->n_in_flight == 0) {
        if (job_is_paged_out(queue->quarantined)) {
            paging_load(queue->quarantined);
            return;
        }
        if (!has_room(pull, queue->quarantined)) {
            pull_set(pull, PULL_BLOCKED);
            continue;
        }
        pull->alone = true;
        deliver(queue, pull, queue->quarantined);
    }
    if (!queue->quarantined && queue->reserved)
        pull_set(queue->reserved, pull_is_full(queue->reserved) ? PULL_FULL : PULL_FREE);
}

/* The shard of the queue has left, or has another owner: its pulls hear it once. */
static void tell_pulls(Queue *queue) {
    Pull *pull, *next;

    queue->told_away = true;
    DL_FOREACH_SAFE2(queue->pulls, pull, next, queue_next) {
        shard_tell_moved(pull);
        if (pull->waits)
            continue;
        id_map_take(&pull->session->pulls, pull->id);
        pull_end(pull);
    }
}

void queue_dispatch(Queue *queue) {
    const Store *store = queue->settings.store;

    if (store_is_away(store)) {
        if (store->away && !queue->told_away)
            tell_pulls(queue);
        return;
    }
    if (queue->paused)
        return;
    if (queue->quarantined || queue->reserved)
        dispatch_quarantined(queue);
    while (queue->ready_bits && queue->free && may_deliver(queue)) {
        Pull *pull = queue->free;
        Job *job = queue_first(queue);

        /* Many jobs may expire at once, and timers run in slices: this job's timer may be late. */
        if (job_is_over(job)) {
            queue_touch(queue);
            return;
        }
        if (job_is_paged_out(job)) {
            paging_load(job);
            return;
        }
        if (has_room(pull, job))
            deliver(queue, pull, job);
        else
            pull_set(pull, PULL_BLOCKED);
    }
}

void pulls_unblock(Queues *queues) {
    Pull *last = queues->blocked ? queues->blocked->prev : NULL;

    for (int looks = 0; queues->blocked && looks < QUEUE_BLOCKED_LOOKS; looks++) {
        Pull *pull = queues->blocked;
        bool is_last = pull == last;

        if (pull->session->ending ||
            session_waiting(pull->session) >= queues->broker->limits.max_subscriber_bytes / 2) {
            pull_set(pull, PULL_BLOCKED); /* to the end of the list: another turn checks this pull
                                           * again */
        } else {
            Queue *queue = pull->queue;

            pull_set(pull, pull_is_full(pull) ? PULL_FULL : PULL_FREE);
            queue_dispatch(queue);
        }
        if (is_last)
            break;
    }
}

void queues_dispatch_touched(Queues *queues) {
    Queue *queue = queues->touched;

    /* Queues that are touched from here on belong to the next turn. */
    queues->touched = NULL;
    while (queue) {
        Queue *next = queue->next_touched;

        queue->touched = false;
        if (queue->keeps_store && queue->n_jobs == 0)
            queue_configure(queue);
        queue_dispatch(queue);
        queue = next;
    }
}
