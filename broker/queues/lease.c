/* Leases: the slots of pulls, the jobs in flight to each client, and the lease of one job. See
 * internal.h. */

#include <utlist.h>

#include "broker/queues/internal.h"

/* ---- the slots of a pull ---- */

void pull_set(Pull *pull, PullState state) {
    Queue *queue = pull->queue;
    Queues *queues = queue->queues;

    if (pull->state == PULL_FREE)
        pulls_remove(&queue->free, pull);
    else if (pull->state == PULL_BLOCKED)
        pulls_remove(&queues->blocked, pull);
    else if (pull->state == PULL_RESERVED)
        queue->reserved = NULL;
    pull->state = (uint8_t)state;
    if (state == PULL_FREE)
        pulls_append(&queue->free, pull);
    else if (state == PULL_BLOCKED)
        pulls_append(&queues->blocked, pull);
    else if (state == PULL_RESERVED)
        queue->reserved = pull;
}

static void pull_free(Pull *pull) {
    Queue *queue = pull->queue;

    pull_set(pull, PULL_ENDED);
    pool_free(&queue->queues->pool, pull, sizeof(*pull));
    queue_maybe_idle(queue);
}

void pull_end(Pull *pull) {
    Queue *queue = pull->queue;

    pull_set(pull, PULL_ENDED);
    queue->n_pulls--;
    if (pull->n_held == 0)
        pull_free(pull);
    /* If a suspect waited for this one, another may take it. */
    if (queue->suspects.first)
        queue_touch(queue);
}

void pull_release(Pull *pull) {
    pull->n_held--;
    if (pull->state == PULL_ENDED) {
        if (pull->n_held == 0)
            pull_free(pull);
        return;
    }
    pull->alone = false;
    if (pull->state == PULL_FULL)
        pull_set(pull, PULL_FREE);
}

/* ---- the jobs of a client ---- */

Holder *holder_of(Queues *queues, Client *client) {
    Holder *holder = client->holder;

    if (holder)
        return holder;
    holder = calloc(1, sizeof(*holder));
    if (!holder)
        return NULL;
    holder->queues = queues;
    holder->client = client;
    DL_APPEND(queues->holders, holder);
    client->holder = holder;
    return holder;
}

void holder_free(Holder *holder) {
    timer_disarm(&holder->queues->broker->timers, &holder->grace);
    if (holder->client)
        holder->client->holder = NULL;
    else if (holder->queues->restored == holder)
        holder->queues->restored = NULL;
    DL_DELETE(holder->queues->holders, holder);
    free(holder);
}

static JobList *list_of(const Job *job) {
    return job->session ? &job->holder->jobs : &job->holder->lost;
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

/* Out of the holder's hands, into nobody's. */
void lease_let_go(Job *job) {
    jobs_remove(list_of(job), job);
    queue_of(job)->n_held--;
    timer_disarm(&queue_of(job)->queues->timers, &job->timer);
    if (job->session && job->u.pull)
        pull_release(job->u.pull);
    job->session = NULL;
    job->holder = NULL;
    job->u.pending = NULL;
    job->stored.held = false;
    job->stored.due_ms = 0;
}

void lease_end(Job *job) {
    if (job->state == JOB_HELD)
        lease_let_go(job);
    else
        job_leave(job);
    if (job->leased)
        id_map_take(&queue_of(job)->queues->leased, job->stored.id);
    job->leased = false;
    job->stored.worker = 0;
}

/* Held again, by the client's session of now, under no pull. */
void lease_take_back(Job *job, Session *session) {
    Queue *queue = queue_of(job);
    Holder *holder = holder_of(queue->queues, session->client);

    if (job->state == JOB_HELD && job->session == session)
        return;
    if (!holder)
        return; /* out of memory: it is as if the worker had not come back */
    if (job->state == JOB_HELD) {
        if (job->session && job->u.pull)
            pull_release(job->u.pull);
        jobs_remove(list_of(job), job);
    } else {
        job_leave(job);
        job->state = JOB_HELD;
        queue->n_held++;
        lease_begin(job);
    }
    job->holder = holder;
    jobs_append(&holder->jobs, job);
    job->session = session;
    job->u.pull = NULL;
    job->stored.held = true;
}
