/* SPDX-License-Identifier: Apache-2.0 */

/* Purge and move many jobs, one slice in each turn. See queues-private.h. */

#include <errno.h>
#include <utlist.h>

#include "broker/queues/changes-private.h"
#include "broker/queues/jobs-private.h"
#include "broker/queues/pulls-private.h"
#include "broker/queues/queues-private.h"
#include "broker/queues/shards-private.h"
#include "rpc/wire/name.h"

enum {
    SWEEPS_MAX = 16,     /* sweeps under way at the same time */
    SWEEP_FAR_MAX = 256, /* jobs of a sweep on the way to another broker */
    SWEEP_WAIT_MS = 20,  /* between two attempts of a sweep that waits for other brokers */
};

struct Sweep {
    Sweep *prev, *next; /* in queues->sweeps */
    Queue *from, *to;   /* `to` is NULL: the jobs are purged */
    Session *session;   /* gets the answer; NULL: the session is gone */
    uint64_t id;
    uint64_t last_job; /* the newest job when the sweep began: later jobs stay */
    uint64_t n, left;
    bool no_room;
    bool is_far;    /* the jobs move to the queue `far` at another broker */
    bool waits;     /* is_far: no job can be sent now */
    unsigned n_far; /* jobs on the way there */
    size_t far_len;
    char far[NAME_MAX_LEN];
};

/* The first job of the list, if it was there when the sweep began. Older jobs stand in front of
 * newer ones, so checking the head is enough. */
static Job *first_before(const Sweep *sweep, Job *list) {
    return list && list->stored.id <= sweep->last_job ? list : NULL;
}

/* The waiting job that would be delivered next, or NULL. */
static Job *next_job(const Sweep *sweep) {
    Queue *queue = sweep->from;
    Job *job = first_before(sweep, queue->quarantined);

    for (int priority = PRIORITIES - 1; priority >= 0 && !job && queue->ready_bits; priority--)
        job = first_before(sweep, queue->ready[priority]);
    if (!job)
        job = first_before(sweep, queue->delayed);
    return job ? job : first_before(sweep, queue->parked);
}

/* False: no further job can be sent in this turn, or at all (no_room). */
static bool send_one(Sweep *sweep, Job *job) {
    int r = sweep->n_far == SWEEP_FAR_MAX ? -EBUSY
                                          : far_move_begin(job, span_of(sweep->far, sweep->far_len),
                                                           sweep->session, 0, sweep);

    sweep->waits = r == -EBUSY;
    sweep->no_room = r < 0 && r != -EBUSY;
    if (r < 0)
        return false;
    sweep->n_far++;
    lease_end(job);
    job_settle(job);
    return true;
}

void sweep_far_ended(Sweep *sweep, int result) {
    sweep->n_far--;
    sweep->waits = false;
    if (result == 0)
        return;
    sweep->n--;
    sweep->no_room = true;
}

uint64_t sweeps_next_ms(const Queues *queues) {
    const Sweep *sweep;
    uint64_t next_ms = UINT64_MAX;

    DL_FOREACH(queues->sweeps, sweep) {
        if (!sweep->waits)
            return 0;
        next_ms = queues->broker->now_ms + SWEEP_WAIT_MS;
    }
    return next_ms;
}

static bool move_one(Sweep *sweep, Job *old) {
    Job *job = NULL;
    Problem problem;

    if (queue_make_room(sweep->to, job_bytes(old), old, &problem) == 0)
        job = job_remake(old, sweep->to, false);
    if (!job)
        return false;
    lease_end(old);
    change_move(old, job, NULL, 0);
    return true;
}

static bool moves(const Sweep *sweep) {
    return sweep->to || sweep->is_far;
}

/* Handles one job. False: the slice ends. */
static bool handle(Sweep *sweep, Job *job) {
    if (sweep->is_far)
        return send_one(sweep, job);
    if (sweep->to) {
        sweep->no_room = !move_one(sweep, job);
        return !sweep->no_room;
    }
    lease_end(job);
    change_remove(job, NULL, 0);
    return true;
}

/* Handles up to max jobs. True: all jobs are handled. */
static bool go_on(Sweep *sweep, unsigned max) {
    for (; sweep->left > 0 && max > 0 && !sweep->no_room; sweep->left--, max--) {
        Job *job = next_job(sweep);

        if (!job || (moves(sweep) && job->unreadable)) {
            sweep->left = 0;
            break;
        }
        if (moves(sweep) && job_is_paged_out(job)) {
            paging_load_to_move(job);
            return false;
        }
        if (!handle(sweep, job))
            break;
        sweep->n++;
    }
    if (sweep->left > 0 && !sweep->no_room)
        return false;
    sweep->waits = sweep->n_far > 0;
    return sweep->n_far == 0;
}

static void answer(const Sweep *sweep) {
    CLEANUP(buffer_deinit) Buffer result = {0};

    if (!sweep->session || sweep->id == 0)
        return;
    if (sweep->no_room && sweep->n == 0) {
        session_error(sweep->session, sweep->id, "ferry.Full",
                      "no job was moved: the queue '%s' is full",
                      sweep->to ? sweep->to->name : shown(span_of(sweep->far, sweep->far_len)));
        return;
    }
    write_uint(&result, sweep->n);
    if (!result.failed)
        session_send(
            sweep->session, LANE_CALLS,
            &(Message){.op = OP_OK, .id = sweep->id, .body = span_of(result.data, result.len)},
            NULL);
}

static void unpin(Queue *queue) {
    if (!queue)
        return;
    queue->n_sweeps--;
    queue_maybe_idle(queue);
}

static void sweep_free(Queues *queues, Sweep *sweep) {
    far_moves_forget_sweep(queues, sweep);
    DL_DELETE(queues->sweeps, sweep);
    queues->n_sweeps--;
    unpin(sweep->from);
    unpin(sweep->to);
    free(sweep);
}

/* now: has its queues and its session. limit 0: all jobs. */
static int begin(Queues *queues, Sweep *now, uint64_t limit, uint64_t *ret_n) {
    Sweep *later;
    bool done = false, is_long;

    now->last_job = queues->last_job;
    /* A job that the store fails to remove comes back and must not be counted again: count when the
     * sweep begins. */
    now->left = now->from->n_ready + now->from->n_delayed;
    if (limit > 0 && limit < now->left)
        now->left = limit;
    is_long = now->is_far || now->left > QUEUE_SLICE || (now->to && now->from->n_paged_out > 0);
    if (is_long && queues->n_sweeps == SWEEPS_MAX)
        return -EBUSY;
    later = is_long ? malloc(sizeof(*later)) : NULL;
    if (is_long && !later)
        return -ENOMEM;
    if (!now->is_far) /* jobs on their way need the record */
        done = go_on(now, QUEUE_SLICE);
    *ret_n = now->n;
    if (done || !later) {
        free(later);
        return now->no_room && now->n == 0 ? -ENOSPC : 0;
    }
    *later = *now;
    DL_APPEND(queues->sweeps, later);
    queues->n_sweeps++;
    now->from->n_sweeps++;
    if (now->to)
        now->to->n_sweeps++;
    return QUEUES_LATER;
}

int queues_purge(Queues *queues, Span name, Session *session, uint64_t id, uint64_t *ret_n) {
    Sweep sweep = {.from = queue_find(queues, name), .session = session, .id = id};

    return sweep.from ? begin(queues, &sweep, 0, ret_n) : -ENOENT;
}

int queues_move(Queues *queues, Span from_name, Span to_name, uint64_t limit, Session *session,
                uint64_t id, uint64_t *ret_n) {
    Sweep sweep = {.from = queue_find(queues, from_name), .session = session, .id = id};
    Problem problem;
    int r;

    if (!sweep.from)
        return -ENOENT;
    if (shard_away(queues, to_name)) {
        sweep.is_far = true;
        sweep.far_len = to_name.len;
        memcpy(sweep.far, to_name.data, to_name.len);
        return begin(queues, &sweep, limit, ret_n);
    }
    sweep.to = queue_get(queues, to_name, &problem);
    if (!sweep.to || sweep.to == sweep.from)
        return -EINVAL;
    r = begin(queues, &sweep, limit, ret_n);
    queue_maybe_idle(sweep.to);
    return r;
}

/* All sweeps share the slice of one turn: they take turns. */
void sweeps_go_on(Queues *queues) {
    Sweep *sweep = queues->sweeps;

    if (!sweep)
        return;
    if (go_on(sweep, QUEUE_SLICE)) {
        answer(sweep);
        sweep_free(queues, sweep);
    } else {
        DL_DELETE(queues->sweeps, sweep);
        DL_APPEND(queues->sweeps, sweep);
    }
}

void sweeps_session_gone(Queues *queues, const Session *session) {
    Sweep *sweep;

    DL_FOREACH(queues->sweeps, sweep) {
        if (sweep->session == session)
            sweep->session = NULL;
    }
}

static bool is_of(const Queue *queue, const Store *store) {
    return queue && queue->settings.store == store;
}

void sweeps_shard_left(Queues *queues, const Store *store) {
    Sweep *sweep, *next;

    DL_FOREACH_SAFE(queues->sweeps, sweep, next) {
        if (!is_of(sweep->from, store) && !is_of(sweep->to, store))
            continue;
        if (sweep->session)
            store_error(sweep->session, sweep->id, store, -EREMCHG);
        sweep_free(queues, sweep);
    }
}

void sweeps_free(Queues *queues) {
    while (queues->sweeps)
        sweep_free(queues, queues->sweeps);
}
