/* SPDX-License-Identifier: Apache-2.0 */

/* Leases: the slots of pulls, the jobs in flight to each client, and the lease of one job. See
 * queues-private.h. */

#include <utlist.h>

#include "broker/queues/jobs-private.h"
#include "broker/queues/pulls-private.h"
#include "broker/queues/queues-private.h"

/* ---- the slots of a pull ---- */

void pull_set(Pull *pull, PullState state) {
    Queue *queue = pull->queue;
    Queues *queues = queue->queues;

    if (pull->state == PULL_FREE)
        DL_DELETE(queue->free, pull);
    else if (pull->state == PULL_BLOCKED)
        DL_DELETE(queues->blocked, pull);
    else if (pull->state == PULL_RESERVED)
        queue->reserved = NULL;
    pull->state = (uint8_t)state;
    if (state == PULL_FREE)
        DL_APPEND(queue->free, pull);
    else if (state == PULL_BLOCKED)
        DL_APPEND(queues->blocked, pull);
    else if (state == PULL_RESERVED)
        queue->reserved = pull;
}

bool pull_is_full(const Pull *pull) {
    return pull->n_in_flight >= pull->slots || pull->alone || (pull->metered && pull->credit <= 0);
}

static void pull_free(Pull *pull) {
    Queue *queue = pull->queue;

    pull_set(pull, PULL_ENDED);
    slabs_free(&queue->queues->slabs, pull, sizeof(*pull));
    queue_maybe_idle(queue);
}

void pull_end(Pull *pull) {
    Queue *queue = pull->queue;

    pull_set(pull, PULL_ENDED);
    DL_DELETE2(queue->pulls, pull, queue_prev, queue_next);
    queue->n_pulls--;
    if (pull->n_in_flight == 0)
        pull_free(pull);
    /* A quarantined job that waited for this pull may now go to another pull. */
    if (queue->quarantined)
        queue_touch(queue);
}

void pull_release(Pull *pull) {
    pull->n_in_flight--;
    if (pull->state == PULL_ENDED) {
        if (pull->n_in_flight == 0)
            pull_free(pull);
        return;
    }
    pull->alone = false;
    if (pull->state == PULL_FULL && !pull_is_full(pull))
        pull_set(pull, PULL_FREE);
}

/* ---- the jobs of a client ---- */

enum { SETTLED_MEMORY = QUEUE_SETTLED_MAX * sizeof(Settled) };

InFlight *in_flight_of(Queues *queues, Client *client) {
    InFlight *in_flight = client->in_flight;

    if (in_flight)
        return in_flight;
    in_flight = calloc(1, sizeof(*in_flight));
    if (!in_flight)
        return NULL;
    queues->broker->budget.bytes[BUDGET_QUEUES] += sizeof(*in_flight);
    in_flight->queues = queues;
    in_flight->client = client;
    DL_APPEND(queues->in_flight, in_flight);
    client->in_flight = in_flight;
    return in_flight;
}

void in_flight_free(InFlight *in_flight) {
    timer_disarm(&in_flight->queues->broker->timers, &in_flight->grace);
    if (in_flight->client)
        in_flight->client->in_flight = NULL;
    else if (in_flight->queues->restored == in_flight)
        in_flight->queues->restored = NULL;
    else if (in_flight->queues->handed_over == in_flight)
        in_flight->queues->handed_over = NULL;
    DL_DELETE(in_flight->queues->in_flight, in_flight);
    in_flight->queues->broker->budget.bytes[BUDGET_QUEUES] -=
        sizeof(*in_flight) + (in_flight->settled ? SETTLED_MEMORY : 0);
    free(in_flight->settled);
    free(in_flight);
}

static bool remember_settled(InFlight *in_flight) {
    Broker *broker = in_flight->queues->broker;

    if (broker_may_store(broker, SETTLED_MEMORY))
        in_flight->settled = calloc(1, SETTLED_MEMORY);
    if (in_flight->settled)
        broker->budget.bytes[BUDGET_QUEUES] += SETTLED_MEMORY;
    return in_flight->settled != NULL;
}

void in_flight_settled(InFlight *in_flight, const Message *message) {
    /* A client that settles without an id does not wait for the answer, and has no reason to repeat
     * the message. */
    if (!in_flight || message->id == 0)
        return;
    if (!in_flight->settled && !remember_settled(in_flight))
        return; /* out of memory: the client would get ferry.LeaseLost for a repeated settlement */
    in_flight->settled[in_flight->next_settled] =
        (Settled){message->settle.job, message->settle.attempt, message->id, message->op};
    in_flight->next_settled = (in_flight->next_settled + 1) % QUEUE_SETTLED_MAX;
    if (in_flight->n_settled < QUEUE_SETTLED_MAX)
        in_flight->n_settled++;
}

void in_flight_unsettled(InFlight *in_flight, uint64_t id) {
    for (uint32_t i = 0; in_flight && id && i < in_flight->n_settled; i++)
        if (in_flight->settled[i].id == id)
            in_flight->settled[i].op = 0;
}

bool in_flight_was_settled(const InFlight *in_flight, const Message *message) {
    for (uint32_t i = 0; in_flight && i < in_flight->n_settled; i++) {
        const Settled *settled = &in_flight->settled[i];

        if (settled->job == message->settle.job && settled->attempt == message->settle.attempt &&
            settled->op == message->op)
            return true;
    }
    return false;
}

/* The list of a job in flight. */
static Job **list_of(const Job *job) {
    return job->session ? &job->in_flight->jobs : &job->in_flight->lost;
}

/* ---- the lease of one job ---- */

void lease_begin(Job *job) {
    Queue *queue = queue_of(job);
    Broker *broker = queue->queues->broker;

    job->stored.due_ms = 0;
    if (queue->settings.time_limit_ms == 0)
        return;
    job->stored.due_ms = broker->now_ms + queue->settings.time_limit_ms;
    job_arm(job, job->stored.due_ms);
}

void lease_tell_lost(const Job *job, uint64_t reason) {
    if (job->session)
        session_send(
            job->session, LANE_BULK,
            &(Message){.op = OP_LOST, .lost = {job->stored.id, job->stored.attempt, reason}}, NULL);
}

/* Takes the job from its worker. The job is in no list then. */
void lease_let_go(Job *job) {
    DL_DELETE(*list_of(job), job);
    queue_of(job)->n_in_flight--;
    if (queue_of(job)->settings.max_working)
        queue_touch(queue_of(job));
    timer_disarm(&queue_of(job)->queues->timers, &job->timer);
    if (job->session && job->u.pull)
        pull_release(job->u.pull);
    job->session = NULL;
    job->in_flight = NULL;
    job->u.pull = NULL;
    job->stored.held = false;
    job->stored.due_ms = 0;
}

void lease_end(Job *job) {
    if (job->state == JOB_IN_FLIGHT)
        lease_let_go(job);
    else
        job_leave(job);
    job->stored.worker = 0;
}

/* Puts the job in flight to the client's present session, under no pull. */
bool lease_take_back(Job *job, Session *session) {
    Queue *queue = queue_of(job);
    InFlight *in_flight = in_flight_of(queue->queues, session->client);

    if (job->state == JOB_IN_FLIGHT && job->session == session)
        return true;
    if (!in_flight)
        return false; /* the job is treated as if its worker had not come back */
    if (job->state == JOB_IN_FLIGHT) {
        if (job->session && job->u.pull)
            pull_release(job->u.pull);
        DL_DELETE(*list_of(job), job);
    } else {
        job_leave(job);
        job->state = JOB_IN_FLIGHT;
        queue->n_in_flight++;
    }
    if (!timer_armed(&job->timer)) /* it was restored, or was ready again */
        lease_begin(job);
    job->in_flight = in_flight;
    DL_APPEND(in_flight->jobs, job);
    job->session = session;
    job->u.pull = NULL;
    job->stored.held = true;
    return true;
}
