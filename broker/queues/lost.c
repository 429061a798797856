/* SPDX-License-Identifier: Apache-2.0 */
/* Lost sessions: their jobs stay in flight for a grace period, in which the client may come back.
 * See internal.h. */

#include <utlist.h>

#include "base/container.h"
#include "broker/queues/internal.h"

static void on_grace(Timer *timer, void *ctx);

/* Whose grace is over, a slice of them; the others are waited for. */
static void give_back(Holder *holder) {
    Broker *broker = holder->queues->broker;
    uint64_t grace_ms = holder->client                       ? broker->limits.lease_grace_ms
                        : holder == holder->queues->restored ? QUEUE_RESTART_MS
                                                             : 0;
    Job *job;

    for (int n = 0; (job = holder->lost.first) && n < QUEUE_SLICE; n++) {
        if (job->u.lost_ms + grace_ms > broker->now_ms)
            break;
        if (holder->client && job->n_lost < UINT8_MAX)
            job->n_lost++;
        lease_fail(job, grace_ms > 0 ? "its worker was lost" : "its worker left");
    }
    if (job)
        timer_arm(&broker->timers, &holder->grace, job->u.lost_ms + grace_ms, on_grace);
    else if (!holder->client)
        holder_free(holder);
}

static void on_grace(Timer *timer, void *ctx) {
    (void)ctx;
    give_back(container_of(timer, Holder, grace));
}

/* Behind those of earlier sessions. */
static void lose_all(Holder *holder) {
    uint64_t now_ms = holder->queues->broker->now_ms;
    Job *job, *next;

    for (job = holder->jobs.first; job; job = next) {
        next = job->next;
        if (job->u.pull)
            pull_release(job->u.pull);
        job->session = NULL;
        job->u.lost_ms = now_ms;
        jobs_append(&holder->lost, job);
    }
    holder->jobs = (JobList){NULL, NULL};
}

Holder *holder_of_restored(Queues *queues) {
    Holder *holder = queues->restored;
    Broker *broker = queues->broker;

    if (holder)
        return holder;
    holder = calloc(1, sizeof(*holder));
    if (!holder)
        return NULL;
    holder->queues = queues;
    DL_APPEND(queues->holders, holder);
    queues->restored = holder;
    timer_arm(&broker->timers, &holder->grace, broker->now_ms + QUEUE_RESTART_MS, on_grace);
    return holder;
}

void queues_held(Queues *queues, Client *client, Span held) {
    Reader reader = reader_of(held.data, held.len);
    uint32_t n = held.len > 0 ? reader_array(&reader) : 0;

    if (!client->session)
        return;
    for (; n > 0 && !reader.problem; n--) {
        uint32_t n_fields = reader_array(&reader);
        uint64_t id = n_fields >= 2 ? reader_uint(&reader) : 0;
        uint64_t attempt = n_fields >= 2 ? reader_uint(&reader) : 0;
        Job *job = id_map_get(&queues->leased, id);

        for (uint32_t i = 2; i < n_fields && !reader.problem; i++)
            reader_value(&reader);
        if (n_fields < 2)
            break;
        if (!reader.problem && job && job->stored.attempt == attempt &&
            job->stored.worker == worker_key(client) && job->state != JOB_SETTLING)
            lease_take_back(job, client->session);
    }
}

void queues_session_gone(Queues *queues, Session *session) {
    Broker *broker = queues->broker;
    Holder *holder = session->client->holder;

    pendings_session_gone(queues, session);
    sweeps_session_gone(queues, session);
    /* Not those of a session that took its place. */
    if (holder && holder->jobs.first && holder->jobs.first->session == session) {
        lose_all(holder);
        if (!timer_armed(&holder->grace))
            timer_arm(&broker->timers, &holder->grace,
                      broker->now_ms + broker->limits.lease_grace_ms, on_grace);
    }
    pulls_session_gone(queues, session);
    queues_dispatch_touched(queues); /* this turn's end may have passed */
}

void queues_client_gone(Queues *queues, Client *client) {
    Holder *holder = client->holder;

    pendings_client_gone(queues, client);
    if (holder) {
        client->holder = NULL;
        holder->client = NULL;
        give_back(holder);
        queues_dispatch_touched(queues);
    }
    client->pushes = push_ledger_free(client->pushes);
}
