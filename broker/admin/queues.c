/* SPDX-License-Identifier: Apache-2.0 */

/* ferry.Broker's list of queues, and its methods for one queue. See admin-private.h and
 * broker/queues/queues.h; jobs.c has the methods for one job. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <utlist.h>

#include "broker/admin/admin-private.h"
#include "broker/admin/binds.h"
#include "broker/queues/jobs-private.h"
#include "broker/queues/pulls-private.h"
#include "broker/queues/shards-private.h"
#include "broker/sessions/user.h"
#include "ferry-broker.h"
#include "rpc/wire/name.h"

enum {
    PEEK_MAX = 1000,           /* jobs in one answer */
    PEEK_LOOKS = 10000,        /* jobs that are compared: a worker may have jobs of many queues in
                                * flight */
    PEEK_BODY_MAX = 64 * 1024, /* bytes of one body */
    PEEK_BYTES_MAX = 4 * 1024 * 1024,
};

/* ---- lists of queues ---- */

static size_t n_dead(const Queue *queue) {
    uint8_t name[NAME_MAX_LEN + 1];
    size_t len = queue->stored.name_len;
    Queue *dead;

    if (len > QUEUE_NAME_MAX)
        return 0;
    memcpy(name, queue->name, len);
    memcpy(name + len, ".dead", 5);
    HASH_FIND(hh, queue->queues->table, name, len + 5, dead);
    return dead ? dead->n_jobs : 0;
}

enum { COUNTS = 17, SETTINGS = 12 };

static bool is_degraded(const Queue *queue) {
    return *queue->settings.store->degraded != '\0';
}

/* As in the configuration: "memory", "disk", "redis", "interval:20ms". */
static void write_durability(Buffer *to, const char *key, const QueueSettings *settings) {
    char text[64];

    snprintf(text, sizeof(text), "interval:%" PRIu64 "ms", settings->interval_ms);
    write_text(to, key);
    write_text(to, settings->interval_ms ? text : settings->store->ops->durability);
}

static bool has_store_setting(const Queue *queue) {
    return *queue->settings.store->setting != '\0';
}

static void write_forwards(Buffer *to, const Queue *queue) {
    const Forward *forward;
    uint32_t n = 0;

    LL_FOREACH(queue->forwards, forward)
    n++;
    write_text(to, "forwards");
    write_array(to, n);
    LL_FOREACH(queue->forwards, forward) {
        write_map(to, 2);
        write_text(to, "to");
        write_text(to, forward->to);
        write_pair(to, "jobs", forward->n_jobs);
    }
}

static void write_counts(Buffer *to, const Queue *queue) {
    write_text(to, "name");
    write_str(to, queue->name, queue->stored.name_len);
    write_pair(to, "ready", queue->n_ready);
    write_pair(to, "delayed", queue->n_delayed);
    write_pair(to, "held", queue->n_in_flight);
    write_pair(to, "dead", n_dead(queue));
    write_pair(to, "bytes", queue->bytes);
    write_text(to, "paused");
    write_bool(to, queue->paused);
    write_pair(to, "workers", queue->n_pulls);
    write_pair(to, "pushed", queue->n_pushed);
    write_pair(to, "acked", queue->n_acked);
    write_pair(to, "redelivered", queue->n_redelivered);
    write_pair(to, "expired", queue->n_expired);
    write_pair(to, "dropped", queue->n_dropped);
    write_pair(to, "cancelled", queue->n_cancelled);
    write_text(to, "bound");
    binds_describe(queue, to);
    write_forwards(to, queue);
    write_durability(to, "durability", &queue->settings);
    if (queue->keeps_store) {
        QueueSettings next;

        queue_next_settings(queue, &next);
        write_durability(to, "next_durability", &next);
    }
    if (has_store_setting(queue)) {
        write_text(to, "store_setting");
        write_text(to, queue->settings.store->setting);
    }
    if (is_degraded(queue)) {
        write_text(to, "degraded");
        write_text(to, store_why_degraded(queue->settings.store));
    }
}

/* As in the configuration: "100/s"; "0": no limit. */
static void write_rate(Buffer *to, uint64_t rate) {
    uint64_t per_ms = rate & UINT32_MAX;
    char text[40] = "0";

    if (rate)
        snprintf(text, sizeof(text), "%" PRIu64 "/%s", rate >> 32,
                 per_ms == 1000    ? "s"
                 : per_ms == 60000 ? "m"
                                   : "h");
    write_text(to, "rate");
    write_text(to, text);
}

static void write_settings(Buffer *to, const QueueSettings *settings) {
    write_pair(to, "max_jobs", settings->max_jobs);
    write_pair(to, "max_bytes", settings->max_bytes);
    write_pair(to, "max_attempts", settings->max_attempts);
    write_pair(to, "retry", settings->retry_ms);
    write_pair(to, "retry_max", settings->retry_max_ms);
    write_pair(to, "ttl", settings->ttl_ms);
    write_pair(to, "time_limit", settings->time_limit_ms);
    write_pair(to, "dedup", settings->dedup_ms);
    write_pair(to, "max_keys", settings->max_keys);
    write_pair(to, "max_working", settings->max_working);
    write_rate(to, settings->rate);
    write_text(to, "overflow");
    write_text(to, settings->overflow == OVERFLOW_REFUSE ? "refuse" : "drop-oldest");
}

size_t queues_count(const Queues *queues) {
    return HASH_COUNT(queues->table);
}

static void *first_queue(const Broker *broker) {
    return broker->queues->table;
}

static void *next_queue(const void *element) {
    return ((const Queue *)element)->hh.next;
}

static bool is_queue_seen(Session *session, const void *element) {
    const Queue *queue = element;

    /* A queue at another broker is here only because of the pulls that wait for it. */
    return !queue->settings.store->away &&
           session_sees(session, SIGHT_OF_QUEUE, span_of(queue->name, queue->stored.name_len));
}

static unsigned write_queue(const void *element, const Broker *broker, Buffer *to) {
    const Queue *queue = element;

    (void)broker;
    write_map(to, COUNTS + queue->keeps_store + has_store_setting(queue) + is_degraded(queue));
    write_counts(to, queue);
    return 0;
}

static size_t count_queues(const Broker *broker) {
    return queues_count(broker->queues);
}

const ListKind list_of_queues = {
    .count = count_queues,
    .first = first_queue,
    .next = next_queue,
    .is_seen = is_queue_seen,
    .write = write_queue,
};

int queues_show(Queues *queues, Span name, Buffer *to) {
    Queue *queue = queue_find(queues, name);

    if (!queue)
        return -ENOENT;
    write_map(to, COUNTS + SETTINGS + queue->keeps_store + has_store_setting(queue) +
                      is_degraded(queue));
    write_counts(to, queue);
    write_settings(to, &queue->settings);
    return to->failed ? -ENOMEM : 0;
}

/* ---- peeking ---- */

static void write_content(Buffer *to, const Job *job) {
    Message content = {0};
    Span body;

    if (job_is_paged_out(job)) {
        paging_load((Job *)job); /* the next answer will have it */
        write_text(to, "reading");
        write_bool(to, true);
        write_text(to, "headers");
        write_nil(to);
        write_pair(to, "bytes", job->paging.size);
        write_text(to, "body");
        write_bin(to, NULL, 0);
        return;
    }
    stored_job_content(&job->stored, &content);
    body = content.body;
    write_text(to, "headers");
    if (content.passed.data) {
        Reader reader = reader_of(content.passed.data, content.passed.len);

        write_raw(to, reader_value(&reader));
        body = reader_nil(&reader) ? (Span){NULL, 0} : reader_bin(&reader);
    } else if (content.headers.len > 0) {
        write_raw(to, content.headers);
    } else {
        write_nil(to);
    }
    write_pair(to, "bytes", body.len);
    write_text(to, "body");
    write_bin(to, body.data, body.len < PEEK_BODY_MAX ? body.len : PEEK_BODY_MAX);
}

typedef struct Peek {
    Buffer jobs;
    uint64_t left;
    uint32_t n, looks;
    uint64_t now_ms;
} Peek;

static const char *why_it_waits(const Job *job) {
    const Queue *queue = queue_of(job);
    const QueueSettings *settings = &queue->settings;

    if (job->state != JOB_READY)
        return NULL;
    if (queue->paused)
        return "the queue is paused";
    if (job->parked)
        return "an earlier job has its ordering key";
    if (queue->n_pulls == 0)
        return "the queue has no worker";
    if (settings->max_working && queue->n_in_flight >= settings->max_working)
        return "max_working jobs are in flight";
    if (timer_armed(&queue->rate_timer))
        return "the rate of the queue is reached";
    return queue->free ? NULL : "all workers are busy";
}

static void write_job(Buffer *to, const Job *job, uint64_t now_ms) {
    static const char *const states[] = {
        [JOB_STORING] = "storing", [JOB_READY] = "ready",       [JOB_DELAYED] = "delayed",
        [JOB_IN_FLIGHT] = "held",  [JOB_SETTLING] = "settling",
    };
    const Queue *queue = queue_of(job);
    uint64_t due_ms = job->stored.due_ms > now_ms ? job->stored.due_ms - now_ms : 0;
    uint64_t expires_ms = job->stored.expires_ms > now_ms ? job->stored.expires_ms - now_ms : 0;
    const char *waits_for = why_it_waits(job);
    Span order = stored_job_order(&job->stored);

    write_map(to, 13 + job_is_paged_out(job) + (waits_for != NULL) + (order.len > 0));
    write_pair(to, "job", job->stored.id);
    write_text(to, "queue");
    write_str(to, queue->name, queue->stored.name_len);
    write_text(to, "state");
    write_text(to, states[job->state]);
    write_pair(to, "attempt", job->stored.attempt);
    write_pair(to, "priority", job->stored.priority);
    write_pair(to, "age_ms", now_ms - job->stored.pushed_ms);
    write_pair(to, "due_ms", due_ms);
    write_pair(to, "expires_ms", expires_ms);
    write_pair(to, "session", job->session ? job->session->number : 0);
    write_text(to, "reason");
    write_str(to, job->reason, job->n_reason);
    if (order.len > 0) {
        write_text(to, "order");
        write_str(to, order.data, order.len);
    }
    if (waits_for) {
        write_text(to, "waits_for");
        write_text(to, waits_for);
    }
    write_content(to, job);
}

static bool peek_job(Peek *peek, const Job *job) {
    Buffer *to = &peek->jobs;

    if (peek->left == 0 || to->len > PEEK_BYTES_MAX || to->failed)
        return false;
    peek->left--;
    peek->n++;
    write_job(to, job, peek->now_ms);
    return true;
}

static void peek_list(Peek *peek, const Job *list, const Queue *queue) {
    for (const Job *job = list; job; job = job->next)
        if (peek->looks++ >= PEEK_LOOKS || (queue_of(job) == queue && !peek_job(peek, job)))
            return;
}

int queues_peek(Queues *queues, Span name, uint64_t limit, Buffer *to) {
    Queue *queue = queue_find(queues, name);
    Peek peek = {.left = limit > 0 && limit < PEEK_MAX ? limit : PEEK_MAX,
                 .now_ms = queues->broker->now_ms};

    if (!queue)
        return -ENOENT;
    peek_list(&peek, queue->quarantined, queue);
    for (int priority = PRIORITIES - 1; priority >= 0; priority--)
        peek_list(&peek, queue->ready[priority], queue);
    peek_list(&peek, queue->delayed, queue);
    peek_list(&peek, queue->parked, queue);
    for (const InFlight *in_flight = queues->in_flight; in_flight && queue->n_in_flight > 0;
         in_flight = in_flight->next) {
        peek_list(&peek, in_flight->jobs, queue);
        peek_list(&peek, in_flight->lost, queue);
    }
    write_array(to, peek.n);
    buffer_append(to, peek.jobs.data, peek.jobs.len);
    to->failed |= peek.jobs.failed;
    buffer_deinit(&peek.jobs);
    return to->failed ? -ENOMEM : 0;
}

int queues_show_job(Queues *queues, uint64_t id, Buffer *to) {
    const Job *job = id ? job_table_get(queues, id) : NULL;

    if (!job || job->state == JOB_STORING)
        return -ENOENT;
    write_job(to, job, queues->broker->now_ms);
    return to->failed ? -ENOMEM : 0;
}

/* ---- methods ---- */

int method_queues(const Ask *ask, const void *p, Buffer *to, ferry_error *reterr) {
    (void)p;
    return admin_list_answer(ask, &list_of_queues, to, reterr);
}

static int no_queue(int r, const char *name, ferry_error *reterr) {
    if (r != -ENOENT)
        return r;
    return error_set(reterr, "ferry.NotFound", "there is no queue '%s'", shown(span_text(name)));
}

static int too_busy(int r, ferry_error *reterr) {
    if (r != -EBUSY)
        return r;
    return error_set(reterr, "ferry.Overloaded",
                     "too many queues are being purged or moved: try again later");
}

static int check_limit(int64_t limit, ferry_error *reterr) {
    if (limit >= 0)
        return 0;
    return error_set(reterr, "ferry.InvalidArgument", "args.limit: cannot be negative");
}

int method_queue(const Ask *ask, const void *p, Buffer *to, ferry_error *reterr) {
    const ferry_broker_queue_args *args = p;

    return no_queue(queues_show(ask->broker->queues, span_text(args->queue), to), args->queue,
                    reterr);
}

int method_peek(const Ask *ask, const void *p, Buffer *to, ferry_error *reterr) {
    const ferry_broker_peek_args *args = p;
    int r = check_limit(args->limit, reterr);

    if (r == 0)
        r = queues_peek(ask->broker->queues, span_text(args->queue), (uint64_t)args->limit, to);
    return no_queue(r, args->queue, reterr);
}

int method_purge(const Ask *ask, const void *p, Buffer *to, ferry_error *reterr) {
    const ferry_broker_purge_args *args = p;
    uint64_t n = 0;
    int r = queues_purge(ask->broker->queues, span_text(args->queue), ask->session, ask->id, &n);

    write_uint(to, n);
    return too_busy(no_queue(r, args->queue, reterr), reterr);
}

int method_pause(const Ask *ask, const void *p, Buffer *to, ferry_error *reterr) {
    const ferry_broker_pause_args *args = p;

    (void)to;
    return no_queue(
        queues_pause(ask->broker->queues, span_text(args->queue), true, ask->session, ask->id),
        args->queue, reterr);
}

int method_resume(const Ask *ask, const void *p, Buffer *to, ferry_error *reterr) {
    const ferry_broker_resume_args *args = p;

    (void)to;
    return no_queue(
        queues_pause(ask->broker->queues, span_text(args->queue), false, ask->session, ask->id),
        args->queue, reterr);
}

int method_move(const Ask *ask, const void *p, Buffer *to, ferry_error *reterr) {
    const ferry_broker_move_args *args = p;
    uint64_t n = 0;
    int r = check_limit(args->limit, reterr);

    if (r < 0)
        return r;
    if (!session_may(ask->session, ACTION_MANAGE, span_text(args->to)))
        return session_denied(ask->session, "manage", span_text(args->to), reterr);
    r = queues_move(ask->broker->queues, span_text(args->from), span_text(args->to),
                    (uint64_t)args->limit, ask->session, ask->id, &n);
    write_uint(to, n);
    return too_busy(no_queue(admin_not_moved(ask, r, args->to, reterr), args->from, reterr),
                    reterr);
}

int method_configure(const Ask *ask, const void *p, Buffer *to, ferry_error *reterr) {
    const ferry_broker_configure_args *args = p;

    (void)to;
    return queues_set(ask->broker->queues, span_text(args->queue), args->setting, args->value,
                      ask->session, ask->id, reterr);
}

int method_bind(const Ask *ask, const void *p, Buffer *to, ferry_error *reterr) {
    const ferry_broker_bind_args *args = p;

    (void)to;
    if (!session_may(ask->session, ACTION_SUBSCRIBE, span_text(args->pattern)))
        return session_denied(ask->session, "subscribe", span_text(args->pattern), reterr);
    return binds_add(ask->broker->binds, span_text(args->queue), span_text(args->pattern),
                     ask->session, ask->id, reterr);
}

int method_unbind(const Ask *ask, const void *p, Buffer *to, ferry_error *reterr) {
    const ferry_broker_unbind_args *args = p;
    int r = binds_remove(ask->broker->binds, span_text(args->queue), span_text(args->pattern),
                         ask->session, ask->id);

    (void)to;
    if (r == -ENOENT)
        return error_set(reterr, "ferry.NotFound", "the queue '%s' is not bound to '%s'",
                         shown(span_text(args->queue)), shown(span_text(args->pattern)));
    if (r == -EPERM)
        return error_set(reterr, "ferry.InvalidArgument",
                         "the configuration binds the queue '%s' to '%s': change it there",
                         shown(span_text(args->queue)), shown(span_text(args->pattern)));
    return queues_not_kept(r, reterr);
}

bool admin_is_away(const Ask *ask, Span queue) {
    const Store *store = shard_away(ask->broker->queues, queue);
    Problem problem;

    if (!store)
        return false;
    problem_set_moved(&problem, queue, store);
    problem_answer(ask->session, ask->id, &problem);
    return true;
}

int admin_not_moved(const Ask *ask, int r, const char *to, ferry_error *reterr) {
    Problem problem;

    if (r == -EINVAL && !queue_get(ask->broker->queues, span_text(to), &problem))
        return error_set(reterr, problem.type, "args.to: %s", problem.text);
    if (r == -EINVAL)
        return error_set(reterr, "ferry.InvalidArgument",
                         "args.to: '%s' is the queue from which jobs are moved",
                         shown(span_text(to)));
    if (r == -ENOSPC)
        return error_set(reterr, "ferry.Full",
                         "the queue '%s' is full: move the job later, or raise max_queue_jobs or "
                         "max_queue_bytes",
                         shown(span_text(to)));
    if (r == -EAGAIN)
        return error_set(reterr, "ferry.Overloaded",
                         "the job is being read from the disk: try again later");
    return r;
}

int admin_check_part(const Ask *ask, Action action, Span queue, ferry_error *reterr) {
    int r;

    if (session_may(ask->session, action, queue))
        return 0;
    r = session_denied(ask->session, action_name(action), queue, reterr);
    if (session_sees(ask->session, SIGHT_OF_QUEUE, queue))
        return r;
    ferry_error_clear(reterr);
    return -ENOENT;
}
