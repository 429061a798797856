/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Jobs that move to a queue whose shard is at another broker. This broker appends the job to the
 * inbox of the shard, and removes it when it is there. The broker that has the shard takes it from
 * the inbox. If this broker dies between the two steps, the job is in both queues; if it is then
 * moved once more, the other broker recognises it. See queues-private.h.
 */

#include <errno.h>
#include <utlist.h>

#include "base/container.h"
#include "broker/queues/changes-private.h"
#include "broker/queues/inbox-entry.h"
#include "broker/queues/jobs-private.h"
#include "broker/queues/queues-private.h"
#include "broker/queues/restored-private.h"

/* ---- the broker that has the job ---- */

/* A job on the way to an inbox. */
typedef struct FarMove {
    RelaySending sending; /* first: a RelaySending is a FarMove */
    Waiter waiter;        /* its shard may leave */
    struct FarMove *prev, *next;
    Job *job;         /* NULL: its shard has left */
    Session *session; /* gets the answer to id; NULL: the session is gone */
    uint64_t id;
    Sweep *sweep; /* moves many jobs, this one, too; or NULL */
} FarMove;

static void answer(const FarMove *move, int result) {
    CLEANUP(buffer_deinit) Buffer number = {0};

    if (!move->session || !move->id)
        return;
    if (result < 0) {
        store_error(move->session, move->id, queue_of(move->job)->settings.store, result);
        return;
    }
    write_uint(&number, 0); /* the other broker chooses it later */
    if (!number.failed)
        session_send(
            move->session, LANE_CALLS,
            &(Message){.op = OP_OK, .id = move->id, .body = span_of(number.data, number.len)},
            NULL);
}

static void finish(FarMove *move, int result) {
    Job *job = move->job;

    answer(move, result);
    if (move->sweep)
        sweep_far_ended(move->sweep, result);
    move->sweep = NULL;
    move->job = NULL;
    if (result == 0)
        change_remove_moved(job);
    else if (result == -EREMCHG)
        job_free(job);
    else
        job_back_to_front(job);
}

static void on_shard_left(Queues *queues, Waiter *waiter, int result) {
    (void)queues;
    finish(container_of(waiter, FarMove, waiter), result);
}

static void far_move_free(Queues *queues, FarMove *move) {
    DL_DELETE(queues->far_moves, move);
    free(move);
}

static void on_sent(Queues *queues, RelaySending *sending, int result) {
    FarMove *move = (FarMove *)sending;

    if (move->job) {
        waiter_take(queues, move->waiter.ticket);
        finish(move, result);
    }
    far_move_free(queues, move);
}

static bool write_entry(Buffer *to, const Job *job, Span queue, const User *user) {
    const Queue *from = queue_of(job);
    uint8_t origin[WIRE_TOKEN];
    InboxJob moved = {.origin = span_of(origin, WIRE_TOKEN), .id = job->stored.id};
    Message content;
    JobParts parts;

    if (!job_remake_content(job, false, &parts, &content))
        return false;
    forwards_name(user, span_of(from->name, from->stored.name_len), origin);
    moved.delay_ms = parts.delay_ms;
    moved.priority = parts.priority;
    moved.order = parts.order;
    moved.reason = stored_job_reason(&job->stored);
    inbox_entry_write_job(to, queue, &moved, &content);
    return !to->failed;
}

static int send_job(Queues *queues, FarMove *move, Span to) {
    CLEANUP(buffer_deinit) Buffer entry = {0};
    TopicRelay *relay = queues->relay;
    unsigned shard = settings_store(queues, to)->shard - 1;
    int r = relay ? relay->ops->admit(relay, shard) : -EOPNOTSUPP;

    if (r < 0)
        return r;
    if (!write_entry(&entry, move->job, to, move->session ? move->session->user : NULL))
        return -ENOMEM;
    r = waiter_begin(queues, &move->waiter, queue_of(move->job)->settings.store);
    if (r < 0)
        return r;
    r = relay->ops->send(relay, shard, span_of(entry.data, entry.len), move);
    if (r < 0)
        waiter_take(queues, move->waiter.ticket);
    return r;
}

int far_move_begin(Job *job, Span to, Session *session, uint64_t id, Sweep *sweep) {
    Queues *queues = queue_of(job)->queues;
    FarMove *move = malloc(sizeof(*move));
    int r;

    if (!move)
        return -ENOMEM;
    *move = (FarMove){.sending = {on_sent},
                      .waiter = {.fn = on_shard_left},
                      .job = job,
                      .session = session,
                      .id = id,
                      .sweep = sweep};
    r = send_job(queues, move, to);
    if (r < 0) {
        free(move);
        return r;
    }
    DL_APPEND(queues->far_moves, move);
    return 0;
}

void far_moves_forget_sweep(Queues *queues, const Sweep *sweep) {
    FarMove *move;

    DL_FOREACH(queues->far_moves, move) {
        if (move->sweep == sweep)
            move->sweep = NULL;
    }
}

void far_moves_session_gone(Queues *queues, const Session *session) {
    FarMove *move;

    DL_FOREACH(queues->far_moves, move) {
        if (move->session == session)
            move->session = NULL;
    }
}

void far_moves_free(Queues *queues) {
    FarMove *move, *next;

    DL_FOREACH_SAFE(queues->far_moves, move, next) {
        if (move->job) {
            waiter_take(queues, move->waiter.ticket);
            job_free(move->job);
        }
        far_move_free(queues, move);
    }
}

/* ---- the broker that has the queue ---- */

/* A job that is being stored, together with the end of its entry. */
typedef struct Arrival {
    Waiter waiter; /* first: a Waiter is an Arrival */
    struct Arrival *prev, *next;
    Job *job; /* NULL: it was stored before */
    RestoredPushes *from;
    uint64_t id;
} Arrival;

static void arrival_free(Queues *queues, Arrival *arrival) {
    DL_DELETE(queues->arrivals, arrival);
    forwards_let_go(arrival->from);
    free(arrival);
}

static void on_stored(Queues *queues, Waiter *waiter, int result) {
    Arrival *arrival = (Arrival *)waiter;
    Job *job = arrival->job;
    Queue *queue = job ? queue_of(job) : NULL;

    if (job && result < 0) {
        job_free(job);
        queue_maybe_idle(queue);
    } else if (job) {
        forwards_add(queues, arrival->from, arrival->id);
        job_enter_new(job);
        queue_touch(queue);
    }
    arrival_free(queues, arrival);
}

static Job *make_job(Queue *queue, const InboxEntry *entry) {
    Job *job = job_new(queue, &(JobParts){.content = &entry->message,
                                          .order = entry->job.order,
                                          .delay_ms = entry->job.delay_ms,
                                          .priority = entry->job.priority,
                                          .ttl_ms = queue->settings.ttl_ms});

    if (job)
        job_set_reason(job, entry->job.reason);
    return job;
}

static int store_arrival(Queues *queues, Arrival *arrival, Store *store, void *entry) {
    StoredJob *stored = arrival->job ? &arrival->job->stored : NULL;
    StoredPush by = {.client = stored ? forwards_client(arrival->from) : NULL, .id = arrival->id};
    int r = waiter_begin(queues, &arrival->waiter, store);

    if (r < 0)
        return r;
    store->has_changes = true;
    r = store->ops->append_entry(store, arrival->waiter.ticket, &stored, stored ? 1 : 0, &by,
                                 entry);
    if (r != STORE_LATER)
        waiter_take(queues, arrival->waiter.ticket);
    return r;
}

/* A queue that is full still takes the job: it must not be lost, and other entries of the
 * inbox do not wait for it. */
int far_move_take(Queues *queues, Store *store, const InboxEntry *entry, void *of, Problem *why) {
    RestoredPushes *from = forwards_reserve(queues, entry->job.origin.data);
    Queue *queue = queue_get(queues, entry->queues[0], why);
    Arrival *arrival = NULL;
    int r;

    if (!queue)
        return -EAGAIN;
    if (queue->settings.store != store) {
        problem_set(why, "ferry.Internal",
                    "a job moves to the queue '%s', which is in another store here", queue->name);
        queue_maybe_idle(queue);
        return -EAGAIN;
    }
    if (from)
        arrival = malloc(sizeof(*arrival));
    if (!arrival) {
        problem_set(why, "ferry.OutOfMemory", "the broker is out of memory");
        queue_maybe_idle(queue);
        return -EAGAIN;
    }
    *arrival = (Arrival){.waiter = {.fn = on_stored}, .from = from, .id = entry->job.id};
    forwards_hold(from);
    DL_APPEND(queues->arrivals, arrival);
    if (!restored_pushes_have(queues, entry->job.origin.data, entry->job.id)) {
        arrival->job = make_job(queue, entry);
        r = arrival->job ? store_arrival(queues, arrival, store, of) : -ENOMEM;
    } else {
        r = store_arrival(queues, arrival, store, of);
        queue_maybe_idle(queue);
    }
    if (r == STORE_LATER)
        return 0;
    on_stored(queues, &arrival->waiter, r);
    problem_set(why, "ferry.Internal", "the store cannot take it now");
    return r < 0 ? -EAGAIN : 0;
}

void arrivals_free(Queues *queues) {
    Arrival *arrival, *next;

    DL_FOREACH_SAFE(queues->arrivals, arrival, next) {
        waiter_take(queues, arrival->waiter.ticket);
        if (arrival->job)
            job_free(arrival->job);
        arrival_free(queues, arrival);
    }
}
