/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One published message into several queues: the jobs share the block of a large body, and one
 * record in the journal. See queues.h.
 */

#include <errno.h>
#include <utlist.h>

#include "base/block.h"
#include "broker/core/peer-log.h"
#include "broker/queues/changes-private.h"
#include "broker/queues/inbox-entry.h"
#include "broker/queues/jobs-private.h"
#include "broker/queues/queues-private.h"
#include "broker/queues/shards-private.h"
#include "rpc/wire/name.h"

/* Jobs whose change in a store shares one ticket. */
typedef struct Portion {
    Waiter waiter; /* first: a Waiter is a Portion */
    Fanout *of;
    size_t first, n; /* its jobs: n of them, from jobs[first] on */
} Portion;

/* Queues at other brokers: an entry for the inbox of their shard. Or the retained value. */
typedef struct FarSending {
    RelaySending sending; /* first: a RelaySending is a FarSending */
    Fanout *of;
    size_t n; /* queues */
} FarSending;

struct Fanout {
    Fanout *prev, *next; /* in queues->fan_outs */
    Queues *queues;
    Session *session; /* gets the answer to id; NULL: the session is gone */
    uint64_t id;
    size_t n_left; /* portions that the store has not finished, and entries that are not in
                    * inboxes yet, plus 1 while portions are still being begun */
    size_t n_stored;
    int result;
    const Store *failed; /* the store that returned `result`, if the result is negative */
    size_t n;
    Job *jobs[]; /* NULL: the job is in its queue, or has failed */
};

static void fan_out_free(Fanout *fan_out) {
    DL_DELETE(fan_out->queues->fan_outs, fan_out);
    free(fan_out);
}

static void drop(Job *job) {
    Queue *queue = queue_of(job);

    job_free(job);
    queue_maybe_idle(queue);
}

void queues_fan_out_cancel(Fanout *fan_out) {
    for (size_t i = 0; i < fan_out->n; i++)
        drop(fan_out->jobs[i]);
    fan_out_free(fan_out);
}

/* ---- the jobs ---- */

enum { TOPIC_HEADER_MAX = NAME_MAX_LEN + 32 };

/* Writes the topic, then the message's headers. Headers beyond the limits are left out, as in dead
 * letters. */
static void write_headers(Buffer *to, const Message *message) {
    CLEANUP(buffer_deinit) Buffer rest = {0};
    uint32_t left, n = 0;
    Reader pairs = pairs_of(message->headers, &left);
    Span name;

    for (;;) {
        const uint8_t *start = pairs.at;

        if (!pairs_next(&pairs, &left, &name))
            break;
        reader_value(&pairs);
        if (span_is(name, FAN_OUT_TOPIC) || n == WIRE_HEADERS_MAX - 1 ||
            rest.len + (size_t)(pairs.at - start) > WIRE_HEADERS_BYTES - TOPIC_HEADER_MAX)
            continue;
        buffer_append(&rest, start, (size_t)(pairs.at - start));
        n++;
    }
    write_map(to, n + 1);
    write_text(to, FAN_OUT_TOPIC);
    write_str(to, message->name.data, message->name.len);
    buffer_append(to, rest.data, rest.len);
    to->failed |= rest.failed;
}

/* Gives a body that several jobs would copy a block that they share. NULL: each job copies the
 * body. */
static void *share_body(size_t n, const void *block, Span *body) {
    void *shared;

    if (n < 2 || block || body->len <= STORED_COPY_MAX)
        return NULL;
    shared = ferry_alloc(body->len);
    if (!shared)
        return NULL;
    memcpy(shared, body->data, body->len);
    *body = span_of(shared, body->len);
    return shared;
}

static bool make_jobs(Fanout *fan_out, Queue *const *to, size_t n, const Message *message,
                      const void *block) {
    Buffer *scratch = &fan_out->queues->scratch;
    Message content = {.op = OP_JOB, .body = message->body};
    void *shared = share_body(n, block, &content.body);

    buffer_reset(scratch);
    write_headers(scratch, message);
    content.headers = span_of(scratch->data, scratch->len);
    if (!content.body.data)
        content.body = span_of("", 0);
    for (; fan_out->n < n && !scratch->failed; fan_out->n++) {
        Job *job = job_new(to[fan_out->n], &(JobParts){.content = &content,
                                                       .block = shared ? shared : block,
                                                       .ttl_ms = to[fan_out->n]->settings.ttl_ms});

        if (!job)
            break;
        fan_out->jobs[fan_out->n] = job;
    }
    ferry_free(shared);
    return fan_out->n == n;
}

/* Sorts the jobs of one store together: their numbers then count up, and one record holds them. */
static int compare_stores(const void *a, const void *b) {
    const Queue *x = *(Queue *const *)a, *y = *(Queue *const *)b;
    uintptr_t p = (uintptr_t)x->settings.store, q = (uintptr_t)y->settings.store;

    return p != q ? (p > q) - (p < q) : strcmp(x->name, y->name);
}

int queues_fan_out(Queues *queues, Queue **to, size_t n, Session *session, const Message *message,
                   const void *block, Fanout **ret) {
    Fanout *fan_out = malloc(sizeof(*fan_out) + n * sizeof(Job *));

    if (!fan_out)
        return -ENOMEM;
    *fan_out = (Fanout){.queues = queues, .session = session, .id = message->id, .n_left = 1};
    DL_APPEND(queues->fan_outs, fan_out);
    if (n > 1)
        qsort(to, n, sizeof(*to), compare_stores);
    if (!make_jobs(fan_out, to, n, message, block)) {
        queues_fan_out_cancel(fan_out);
        return -ENOMEM;
    }
    *ret = fan_out;
    return 0;
}

size_t fan_out_bytes(const Message *message) {
    return message->headers.len + message->body.len + message->name.len + 24;
}

int queues_fan_out_check(Queue *queue, const Message *message, Problem *problem) {
    const Store *store = queue->settings.store;

    if (*store->degraded) {
        problem_set(problem, store->broken ? "ferry.Internal" : "ferry.Full",
                    "queue '%s' cannot store the message: %s", queue->name, store->degraded);
        return -ENOSPC;
    }
    return queue_make_room(queue, fan_out_bytes(message), NULL, problem) == 0 ? 0 : -ENOSPC;
}

/* ---- stored ---- */

/* Some of the queues may have the message. */
static void refuse(const Fanout *fan_out) {
    Problem problem;

    if (!fan_out->failed && fan_out->result == -EBUSY)
        problem_set(&problem, "ferry.Overloaded",
                    "a shard of the cluster was not restored yet, or its data is gone");
    else
        store_problem(fan_out->failed, fan_out->result, &problem);
    problem.is_unknown |= fan_out->n_stored > 0;
    problem_answer(fan_out->session, fan_out->id, &problem);
}

static void end(Fanout *fan_out) {
    if (--fan_out->n_left > 0)
        return;
    if (fan_out->session && fan_out->id) {
        if (fan_out->result < 0)
            refuse(fan_out);
        else
            session_ok(fan_out->session, LANE_CALLS, fan_out->id, fan_out->n_stored);
    }
    fan_out_free(fan_out);
}

static void finish(Fanout *fan_out, size_t first, size_t n, int result) {
    for (size_t i = first; i < first + n; i++) {
        Job *job = fan_out->jobs[i];
        Queue *queue = queue_of(job);

        fan_out->jobs[i] = NULL;
        if (result < 0) {
            fan_out->result = result;
            fan_out->failed = queue->settings.store;
            drop(job);
            continue;
        }
        fan_out->n_stored++;
        queue->n_pushed++;
        queue->queues->broker->stats.pushed++;
        job_enter_new(job);
        queue_touch(queue);
    }
}

static void on_stored(Queues *queues, Waiter *waiter, int result) {
    Portion *portion = (Portion *)waiter;
    Fanout *fan_out = portion->of;

    (void)queues;
    finish(fan_out, portion->first, portion->n, result);
    free(portion);
    end(fan_out);
}

static const StoredPush by_nobody;

static int append(const Fanout *fan_out, Store *store, uint64_t ticket, size_t first, size_t n) {
    StoredJob *jobs[STORE_SHARED_MAX];

    if (n == 1)
        return store_append(store, ticket, &fan_out->jobs[first]->stored, &by_nobody);
    for (size_t i = 0; i < n; i++)
        jobs[i] = &fan_out->jobs[first + i]->stored;
    store->has_changes = true;
    return store->ops->append_shared(store, ticket, jobs, n);
}

/* All jobs and the end of their entry are one change. A portion without jobs is possible. */
static int append_entry(const Fanout *fan_out, Store *store, uint64_t ticket, void *entry) {
    StoredJob *jobs[INBOX_QUEUES_MAX];

    for (size_t i = 0; i < fan_out->n; i++)
        jobs[i] = &fan_out->jobs[i]->stored;
    store->has_changes = true;
    return store->ops->append_entry(store, ticket, jobs, fan_out->n, &by_nobody, entry);
}

int fan_out_store_entry(Fanout *fan_out, Store *store, void *entry) {
    Portion *portion = malloc(sizeof(*portion));
    int r = -ENOMEM;

    if (portion) {
        *portion = (Portion){{.fn = on_stored}, fan_out, 0, fan_out->n};
        r = waiter_begin(fan_out->queues, &portion->waiter, store);
    }
    if (r == 0)
        r = append_entry(fan_out, store, portion->waiter.ticket, entry);
    if (r == STORE_LATER)
        return 0;
    if (portion)
        waiter_take(fan_out->queues, portion->waiter.ticket);
    free(portion);
    finish(fan_out, 0, fan_out->n, r);
    end(fan_out);
    return r;
}

/* The number of jobs, from the first on, that the store takes in one step. */
static size_t portion_size(const Fanout *fan_out, size_t first) {
    const Store *store = queue_of(fan_out->jobs[first])->settings.store;
    bool is_consecutive = fan_out->queues->n_shards == 0; /* see shard_next_job() */
    size_t n = 1;

    while (is_consecutive && store->ops->append_shared && n < STORE_SHARED_MAX &&
           first + n < fan_out->n && queue_of(fan_out->jobs[first + n])->settings.store == store)
        n++;
    return n;
}

static void begin(Fanout *fan_out, size_t first, size_t n) {
    Store *store = queue_of(fan_out->jobs[first])->settings.store;
    Portion *portion = NULL;
    int r = 0;

    if (store->ops->later) {
        portion = malloc(sizeof(*portion));
        if (portion) {
            *portion = (Portion){{.fn = on_stored}, fan_out, first, n};
            r = waiter_begin(fan_out->queues, &portion->waiter, store);
        }
        r = portion ? r : -ENOMEM;
    }
    if (r == 0)
        r = append(fan_out, store, portion ? portion->waiter.ticket : 0, first, n);
    if (r == STORE_LATER) {
        fan_out->n_left++;
        return;
    }
    if (portion)
        waiter_take(fan_out->queues, portion->waiter.ticket);
    free(portion);
    finish(fan_out, first, n, r);
}

void queues_fan_out_store(Fanout *fan_out) {
    size_t n;

    for (size_t first = 0; first < fan_out->n; first += n) {
        n = portion_size(fan_out, first);
        begin(fan_out, first, n);
    }
    end(fan_out);
}

/* ---- queues at other brokers ---- */

void queues_fan_out_missed(Queues *queues, bool is_value, int result) {
    queues->broker->stats.dropped++;
    peer_log(queues->broker, LOG_LEVEL_WARNING, "%s: reason='%s'",
             is_value ? "a retained value is not kept"
                      : "bound queues at another broker miss a message",
             result == -EDQUOT ? "the inbox of their shard is full" : strerror(-result));
}

static void on_sent(Queues *queues, RelaySending *of, int result) {
    FarSending *sending = (FarSending *)of;
    Fanout *fan_out = sending->of;

    if (result == 0) {
        fan_out->n_stored += sending->n;
    } else {
        fan_out->result = result;
        fan_out->failed = NULL;
        if (!fan_out->id)
            queues_fan_out_missed(queues, sending->n == 0, result);
    }
    free(sending);
    end(fan_out);
}

void *queues_fan_out_send(Fanout *fan_out, size_t n) {
    FarSending *sending = malloc(sizeof(*sending));

    if (!sending) {
        fan_out->result = -ENOMEM;
        return NULL;
    }
    *sending = (FarSending){{on_sent}, fan_out, n};
    fan_out->n_left++;
    return sending;
}

void queues_sent(Queues *queues, void *sending, int result) {
    RelaySending *of = sending;

    of->fn(queues, of, result);
}

void fan_outs_session_gone(Queues *queues, const Session *session) {
    Fanout *fan_out;

    DL_FOREACH(queues->fan_outs, fan_out) {
        if (fan_out->session == session)
            fan_out->session = NULL;
    }
}

size_t fan_outs_count(const Queues *queues) {
    const Fanout *fan_out;
    size_t n;

    DL_COUNT(queues->fan_outs, fan_out, n);
    return n;
}

static void forget_portions(Queues *queues) {
    size_t pos = 0;
    Waiter *waiter;

    while ((waiter = id_map_next(&queues->waiters, &pos)))
        if (waiter->fn == on_stored)
            free(waiter);
}

void fan_outs_free(Queues *queues) {
    Fanout *fan_out, *next;

    forget_portions(queues);
    DL_FOREACH_SAFE(queues->fan_outs, fan_out, next) {
        for (size_t i = 0; i < fan_out->n; i++)
            if (fan_out->jobs[i])
                job_free(fan_out->jobs[i]);
        fan_out_free(fan_out);
    }
    id_map_deinit(&queues->waiters);
}
