/* SPDX-License-Identifier: Apache-2.0 */
/* The queue router as a whole: new, free, and its part of each turn. See queues.h. */

#include <utlist.h>

#include "base/container.h"
#include "broker/core/rooms.h"
#include "broker/queues/changes-private.h"
#include "broker/queues/facts-private.h"
#include "broker/queues/jobs-private.h"
#include "broker/queues/pulls-private.h"
#include "broker/queues/queues-private.h"
#include "broker/queues/restored-private.h"
#include "broker/queues/shards-private.h"

void queues_run_timers(Queues *queues) {
    timers_run_some(&queues->timers, queues->broker->now_ms, QUEUE_SLICE, NULL);
}

void queues_turn_end(Queues *queues) {
    sweeps_go_on(queues);
    shards_go_on(queues);
    queues_dispatch_touched(queues);
    if (queues->blocked)
        pulls_unblock(queues);
    paging_trim(queues);
    stores_flush(queues);
}

size_t queues_n_in_flight(const Queues *queues) {
    size_t n = 0;

    for (const InFlight *in_flight = queues->in_flight; in_flight; in_flight = in_flight->next)
        for (const Job *job = in_flight->jobs; job; job = job->next)
            n += job->session != NULL;
    return n;
}

size_t queues_n_in_memory(const Queues *queues) {
    size_t n = 0;

    for (const Queue *queue = queues->table; queue; queue = queue->hh.next)
        n += queue->settings.store == &store_memory ? queue->n_jobs : 0;
    return n;
}

/* ---- the room ---- */

static Queues *self(const Room *room) {
    return container_of(room, Queues, room);
}

static void on_run_timers(Room *room) {
    queues_run_timers(self(room));
}

static void on_turn_end(Room *room) {
    queues_turn_end(self(room));
}

static uint64_t on_next_ms(const Room *room) {
    const Queues *queues = self(room);
    uint64_t sweeps_ms = sweeps_next_ms(queues), timers_ms = timers_next(&queues->timers);

    if (queues->leaving)
        return 0;
    return sweeps_ms < timers_ms ? sweeps_ms : timers_ms;
}

static size_t on_n_unfinished(const Room *room) {
    const Queues *queues = self(room);

    return queues_n_in_flight(queues) + queues->n_sweeps + stores_n_open(queues) +
           fan_outs_count(queues);
}

/* The client's dedup window moves on, and jobs that the client still has are in flight again. */
static void on_session_begun(Room *room, Session *session, const Message *hello, Buffer *held) {
    restored_pushes_adopt(self(room), session->client);
    queues_floor(self(room), session->client, hello->hello.floor);
    if (hello->hello.held.len > 0)
        queues_held(self(room), session->client, hello->hello.held, held);
}

static void on_session_gone(Room *room, Session *session) {
    queues_session_gone(self(room), session);
}

static void on_client_gone(Room *room, Client *client) {
    queues_client_gone(self(room), client);
}

static const RoomOps room_ops = {
    .run_timers = on_run_timers,
    .turn_end = on_turn_end,
    .next_ms = on_next_ms,
    .n_unfinished = on_n_unfinished,
    .session_begun = on_session_begun,
    .session_gone = on_session_gone,
    .client_gone = on_client_gone,
};

/* ---- new and free ---- */

int queues_new(Queues **ret, Broker *broker) {
    Queues *queues = calloc(1, sizeof(*queues));

    if (!queues)
        return -ENOMEM;
    queues->broker = broker;
    queues->last_job = broker->first_id;
    queues->on_job_due = job_due;
    timers_init(&queues->timers, broker->now_ms);
    queues->job.op = OP_JOB;
    slabs_init(&queues->slabs, &broker->budget.bytes[BUDGET_QUEUES]);
    queues->stores[queues->n_stores++] = &store_memory;
    queues->default_store = &store_memory;
    room_open(broker, &queues->room, &room_ops);
    settings_watch_facts(queues);
    *ret = queues;
    return 0;
}

static void free_jobs(Job **list) {
    while (*list) {
        Job *job = *list;

        DL_DELETE(*list, job);
        job_free(job);
    }
}

static void free_queue_with_jobs(Queue *queue) {
    /* Free jobs that wait behind their ordering key first: the end of another job would make them
     * ready. */
    while (queue->parked) {
        Job *job = queue->parked;

        job_leave(job);
        job_free(job);
    }
    for (int i = 0; i < PRIORITIES; i++)
        free_jobs(&queue->ready[i]);
    free_jobs(&queue->quarantined);
    free_jobs(&queue->delayed);
    keys_free(queue, SIZE_MAX);
    queue_free(queue);
}

Queues *queues_free(Queues *queues) {
    Queue *queue, *next;

    if (!queues)
        return NULL;
    for (Session *session = queues->broker->sessions.first; session; session = session->next)
        queues_session_gone(queues, session);
    stores_close(queues);
    while (queues->in_flight) {
        InFlight *in_flight = queues->in_flight;

        if (in_flight->client)
            in_flight->client->dedup_window = dedup_window_free(in_flight->client->dedup_window);
        free_jobs(&in_flight->jobs);
        free_jobs(&in_flight->lost);
        in_flight_free(in_flight);
    }
    for (Client *client = queues->broker->clients.by_id; client; client = client->hh.next)
        client->dedup_window = dedup_window_free(client->dedup_window);
    sweeps_free(queues);
    shards_free(queues);
    pendings_free(queues);
    own_pushes_free(queues);
    far_moves_free(queues);
    arrivals_free(queues);
    fan_outs_free(queues);
    fact_changes_free(queues);
    facts_free(queues);
    restored_pushes_free(queues);
    HASH_ITER(hh, queues->table, queue, next) {
        free_queue_with_jobs(queue);
    }
    rules_free(queues);
    buffer_deinit(&queues->scratch);
    slabs_deinit(&queues->slabs);
    room_close(queues->broker, &queues->room);
    free(queues);
    return NULL;
}
