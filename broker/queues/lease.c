/* Deliveries: settled by who got them, or lost, or held on to over a lost session. See
 * core.h. */

#include <utlist.h>

#include "broker/queues/core.h"

/* ---- holders ---- */

static void on_grace(Timer *timer, void *ctx);

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
static void let_go(Job *job) {
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
        let_go(job);
    else
        job_leave(job);
    if (job->leased)
        id_map_take(&queue_of(job)->queues->leased, job->stored.id);
    job->leased = false;
    job->stored.worker = 0;
}

static bool is_spent(const Job *job) {
    const Queue *queue = queue_of(job);

    return !queue->is_dead && queue->settings.max_attempts &&
           job->stored.attempt >= queue->settings.max_attempts;
}

void lease_fail(Job *job, const char *reason) {
    if (is_spent(job)) {
        lease_end(job);
        job_bury(job, span_text(reason), NULL, 0);
        return;
    }
    /* Its worker may still settle it, until it is delivered again: it stays in queues->leased. */
    let_go(job);
    job_set_reason(job, span_text(reason));
    job_enter_front(job);
    store_note(queue_of(job)->settings.store, &job->stored);
    queue_touch(queue_of(job));
}

/* Held again, by the client's session of now, under no pull. */
static void take_back(Job *job, Session *session) {
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

/* ---- settling ---- */

/* The delivery that the message means, if it is the sender's to settle; else it has its answer. */
static Job *find(Queues *queues, Session *session, const Message *message) {
    Job *job = id_map_get(&queues->leased, message->job);

    if (job && job->stored.attempt == message->attempt && job->state != JOB_SETTLING &&
        job->stored.worker == worker_key(session->client))
        return job;
    session_error(session, message->id, "ferry.LeaseLost",
                  "attempt %llu of job %llu is settled, or was given to somebody else",
                  (unsigned long long)message->attempt, (unsigned long long)message->job);
    return NULL;
}

void queues_ack(Queues *queues, Session *session, const Message *message) {
    Job *job = find(queues, session, message);
    Queue *queue;

    if (!job)
        return;
    queue = queue_of(job);
    lease_end(job);
    queue->n_acked++;
    queues->broker->stats.acked++;
    change_remove(job, session, message->id);
    queue_dispatch(queue);
}

static uint64_t back_off_ms(const Job *job) {
    const QueueSettings *settings = &queue_of(job)->settings;
    uint64_t ms = settings->retry_ms;

    for (uint32_t i = 1; i < job->stored.attempt && ms < settings->retry_max_ms; i++)
        ms *= 2;
    return ms < settings->retry_max_ms ? ms : settings->retry_max_ms;
}

/* Later again. Or dead, when it had all its attempts; then session gets the answer to id when that
 * is done, and true is returned. */
static bool retry(Job *job, uint64_t delay_ms, Span reason, Session *session, uint64_t id) {
    Queue *queue = queue_of(job);
    char text[64];

    job->n_lost = 0; /* it did not kill its worker */
    if (is_spent(job)) {
        snprintf(text, sizeof(text), "failed %u times", job->stored.attempt);
        lease_end(job);
        job_bury(job, reason.len > 0 ? reason : span_text(text), session, id);
        return true;
    }
    if (delay_ms == 0)
        delay_ms = back_off_ms(job);
    if (delay_ms > QUEUE_TIME_MAX)
        delay_ms = QUEUE_TIME_MAX;
    lease_end(job);
    job_set_reason(job, reason);
    job->stored.due_ms = queue->queues->broker->now_ms + delay_ms;
    job_enter(job);
    store_note(queue->settings.store, &job->stored);
    return false;
}

void queues_retry(Queues *queues, Session *session, const Message *message) {
    Job *job = find(queues, session, message);
    Queue *queue;

    if (!job)
        return;
    queue = queue_of(job);
    if (!retry(job, message->delay_ms, message->text, session, message->id))
        session_ok(session, LANE_CALLS, message->id, 0);
    queue_dispatch(queue);
}

void queues_reject(Queues *queues, Session *session, const Message *message) {
    Job *job = find(queues, session, message);
    Queue *queue;

    if (!job)
        return;
    queue = queue_of(job);
    lease_end(job);
    job_bury(job, message->text.len > 0 ? message->text : span_text("rejected"), session,
             message->id);
    queue_dispatch(queue);
}

void queues_release(Queues *queues, Session *session, const Message *message) {
    Job *job = find(queues, session, message);
    Queue *queue;

    if (!job)
        return;
    queue = queue_of(job);
    lease_end(job);
    job->stored.attempt--;
    job_enter_front(job);
    store_note(queue->settings.store, &job->stored);
    session_ok(session, LANE_CALLS, message->id, 0);
    queue_dispatch(queue);
}

void queues_extend(Queues *queues, Session *session, const Message *message) {
    Job *job = find(queues, session, message);
    uint64_t delay_ms = message->delay_ms;

    if (!job)
        return;
    if (delay_ms == 0 || delay_ms > QUEUE_TIME_MAX) {
        session_error(session, message->id, "ferry.InvalidArgument",
                      "delay_ms is a number from 1 to that of ten years");
        return;
    }
    take_back(job, session);
    if (queue_of(job)->settings.time_limit_ms > 0) {
        job->stored.due_ms = queues->broker->now_ms + delay_ms;
        job_arm(job, job->stored.due_ms);
    }
    session_ok(session, LANE_CALLS, message->id, 0);
}

void queues_forward(Queues *queues, Session *session, const Message *message, const void *block) {
    Job *old = find(queues, session, message), *job;
    Problem problem;
    Queue *queue;
    Key *key;
    int r;

    if (!old)
        return;
    queue = queue_of(old);
    r = queue_admit(queues, message, block, old, &job, &key, &problem);
    if (r < 0) {
        char reason[1200];

        snprintf(reason, sizeof(reason), "forwarding it to '%s' failed: %s", shown(message->name),
                 problem.text);
        retry(old, 0, span_text(reason), NULL, 0);
        session_error(session, message->id, problem.type, "%s", problem.text);
    } else {
        lease_end(old);
        queue->n_acked++;
        queues->broker->stats.acked++;
        if (r == PUSH_IS_DUPLICATE)
            change_remove(old, session, message->id);
        else
            change_forward(old, job, key, session, message->id);
    }
    queue_dispatch(queue);
}

/* ---- sessions come and go ---- */

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
            take_back(job, client->session);
    }
}

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
    give_back((Holder *)((uint8_t *)timer - offsetof(Holder, grace)));
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

void queues_session_gone(Queues *queues, Session *session) {
    Broker *broker = queues->broker;
    Holder *holder = session->client->holder;

    pendings_session_gone(queues, session);
    sweeps_session_gone(queues, session);
    lists_session_gone(queues, session);
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
