/* SPDX-License-Identifier: Apache-2.0 */
/* Lost sessions: their jobs stay in flight for a grace period, in which the client may come back.
 * See queues-private.h. */

#include <utlist.h>

#include "base/container.h"
#include "broker/queues/changes-private.h"
#include "broker/queues/facts-private.h"
#include "broker/queues/jobs-private.h"
#include "broker/queues/pulls-private.h"
#include "broker/queues/queues-private.h"
#include "broker/queues/shards-private.h"

static void on_grace(Timer *timer, void *ctx);

static uint64_t grace_of(const InFlight *in_flight) {
    const Queues *queues = in_flight->queues;

    return in_flight->client                  ? queues->broker->limits.lease_grace_ms
           : in_flight == queues->restored    ? QUEUE_RESTART_MS
           : in_flight == queues->handed_over ? QUEUE_HANDOVER_MS
                                              : 0;
}

/* Returns a slice of the jobs whose grace period is over, and arms the timer for the next ones. */
static void give_back(InFlight *in_flight) {
    Broker *broker = in_flight->queues->broker;
    uint64_t grace_ms = grace_of(in_flight);
    uint64_t due_ms;
    Job *job;

    for (int n = 0; (job = in_flight->lost) && n < QUEUE_SLICE; n++) {
        if (job->u.lost_ms + grace_ms > broker->now_ms)
            break;
        if (in_flight->client && job->n_lost < UINT8_MAX)
            job->n_lost++;
        lease_fail(job, grace_ms > 0 ? "its worker was lost" : "its worker left");
    }
    /* Even if the timer is late, the next slice belongs to a later turn: a turn returns one
     * slice. */
    due_ms = job ? job->u.lost_ms + grace_ms : 0;
    if (due_ms <= broker->now_ms)
        due_ms = broker->now_ms + 1;
    if (job)
        timer_arm(&broker->timers, &in_flight->grace, due_ms, on_grace);
    else if (!in_flight->client)
        in_flight_free(in_flight);
}

static void on_grace(Timer *timer, void *ctx) {
    (void)ctx;
    give_back(container_of(timer, InFlight, grace));
}

/* Appends the jobs of the lost session to the jobs of sessions that were lost before. */
static void lose_all(InFlight *in_flight) {
    uint64_t now_ms = in_flight->queues->broker->now_ms;
    Job *job, *next;

    for (job = in_flight->jobs; job; job = next) {
        next = job->next;
        if (job->u.pull)
            pull_release(job->u.pull);
        job->session = NULL;
        job->u.lost_ms = now_ms;
        DL_APPEND(in_flight->lost, job);
    }
    in_flight->jobs = NULL;
}

static InFlight *in_flight_new(Queues *queues) {
    InFlight *in_flight = calloc(1, sizeof(*in_flight));

    if (!in_flight)
        return NULL;
    queues->broker->budget.bytes[BUDGET_QUEUES] += sizeof(*in_flight);
    in_flight->queues = queues;
    DL_APPEND(queues->in_flight, in_flight);
    return in_flight;
}

InFlight *in_flight_restored(Queues *queues) {
    Broker *broker = queues->broker;

    if (queues->restored)
        return queues->restored;
    queues->restored = in_flight_new(queues);
    if (queues->restored)
        timer_arm(&broker->timers, &queues->restored->grace, broker->now_ms + QUEUE_RESTART_MS,
                  on_grace);
    return queues->restored;
}

InFlight *in_flight_of_shard(Queues *queues, StoreShard *shard) {
    if (!shard->held)
        shard->held = in_flight_new(queues);
    return shard->held;
}

void in_flight_shard_here(Queues *queues, StoreShard *shard) {
    InFlight **to = shard->store->handed_over ? &queues->handed_over : &queues->restored;
    InFlight *held = shard->held;

    if (!held)
        return;
    shard->held = NULL;
    for (Job *job = held->lost; job; job = job->next) {
        job->u.lost_ms = queues->broker->now_ms;
        job->in_flight = *to ? *to : held;
    }
    if (!*to) {
        *to = held;
        timer_arm(&queues->broker->timers, &held->grace, queues->broker->now_ms + grace_of(held),
                  on_grace);
        return;
    }
    DL_CONCAT((*to)->lost, held->lost);
    held->lost = NULL;
    in_flight_free(held);
}

void queues_held(Queues *queues, Client *client, Span held, Buffer *ret) {
    CLEANUP(buffer_deinit) Buffer kept = {0};
    Reader reader = reader_of(held.data, held.len);
    uint32_t n = held.len > 0 ? reader_array(&reader) : 0, n_kept = 0;

    if (!client->session)
        return;
    for (; n > 0 && !reader.problem; n--) {
        uint32_t n_fields = reader_array(&reader);
        uint64_t id = n_fields >= 2 ? reader_uint(&reader) : 0;
        uint64_t attempt = n_fields >= 2 ? reader_uint(&reader) : 0;
        Job *job = job_table_get(queues, id);

        for (uint32_t i = 2; i < n_fields && !reader.problem; i++)
            reader_value(&reader);
        if (n_fields < 2)
            break;
        if (!reader.problem && job && !store_is_away(queue_of(job)->settings.store) &&
            job->stored.attempt == attempt && job->stored.worker == worker_key(client->session) &&
            job->state != JOB_SETTLING && lease_take_back(job, client->session)) {
            write_array(&kept, 2);
            write_uint(&kept, id);
            write_uint(&kept, attempt);
            n_kept++;
        }
    }
    if (kept.failed || n_kept == 0)
        return;
    write_array(ret, n_kept);
    buffer_append(ret, kept.data, kept.len);
}

void queues_session_gone(Queues *queues, Session *session) {
    Broker *broker = queues->broker;
    InFlight *in_flight = session->client->in_flight;

    pendings_session_gone(queues, session);
    moved_session_gone(session);
    sweeps_session_gone(queues, session);
    fact_changes_session_gone(queues, session);
    fan_outs_session_gone(queues, session);
    far_moves_session_gone(queues, session);
    /* If the client has a newer session, its jobs may belong to that session already. */
    if (in_flight && in_flight->jobs && in_flight->jobs->session == session) {
        lose_all(in_flight);
        if (!timer_armed(&in_flight->grace))
            timer_arm(&broker->timers, &in_flight->grace,
                      broker->now_ms + broker->limits.lease_grace_ms, on_grace);
    }
    pulls_session_gone(queues, session);
    queues_dispatch_touched(queues); /* the queues' part of this turn may have passed already */
}

void queues_client_gone(Queues *queues, Client *client) {
    InFlight *in_flight = client->in_flight;

    pendings_client_gone(queues, client);
    if (in_flight) {
        client->in_flight = NULL;
        in_flight->client = NULL;
        give_back(in_flight);
        queues_dispatch_touched(queues);
    }
    client->dedup_window = dedup_window_free(client->dedup_window);
    stores_forget_pushes(queues, client->id, UINT64_MAX);
}
