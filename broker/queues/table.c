/* SPDX-License-Identifier: Apache-2.0 */

/* The table of queues: find them, make them, forget them when they are unused. See
 * queues-private.h. */

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <utlist.h>

#include "base/container.h"
#include "broker/queues/queues-private.h"
#include "broker/queues/restored-private.h"
#include "rpc/wire/name.h"

void problem_set(Problem *problem, const char *type, const char *format, ...) {
    va_list args;

    problem->type = type;
    problem->away = NULL;
    problem->is_kept = problem->is_unknown = false;
    va_start(args, format);
    vsnprintf(problem->text, sizeof(problem->text), format, args);
    va_end(args);
}

void queue_tap(Queue *queue, bool sent, Op op, const Session *session, uint64_t id, Span body) {
    const Broker *broker = queue->queues->broker;
    Span name = span_of(queue->name, queue->stored.name_len);

    if (tap_watches(broker, TAP_QUEUES, &queue->tap, name))
        taps_record(broker->taps, &(TapEvent){.kind = TAP_QUEUES,
                                              .sent = sent,
                                              .op = op,
                                              .session = session,
                                              .id = id,
                                              .name = name,
                                              .body = body});
}

/* ---- the table ---- */

Queue *queue_find(Queues *queues, Span name) {
    Queue *queue = queues->last;

    if (queue && queue->stored.name_len == name.len &&
        memcmp(queue->name, name.data, name.len) == 0)
        return queue;
    HASH_FIND(hh, queues->table, name.data, name.len, queue);
    if (queue)
        queues->last = queue;
    return queue;
}

static size_t memory_of(size_t name_len) {
    return sizeof(Queue) + name_len + 1;
}

/* The list of its shard that has the queue. */
static Queue **list_of(const Queue *queue) {
    StoreShard *shard = &queue->queues->shards[queue->settings.store->shard - 1];

    return queue->leaving ? &shard->leaving : &shard->queues;
}

void queue_set_store(Queue *queue, Store *store) {
    Store *before = queue->settings.store;

    if (before == store)
        return;
    if (before)
        before->n_jobs -= queue->n_jobs;
    if (store)
        store->n_jobs += queue->n_jobs;
    if (before && before->shard)
        DL_DELETE2(*list_of(queue), queue, shard_prev, shard_next);
    queue->settings.store = store;
    queue->leaving = queue->told_away = false;
    if (store && store->shard)
        DL_APPEND2(*list_of(queue), queue, shard_prev, shard_next);
}

static Queue *queue_new(Queues *queues, Span name) {
    Queue *queue = calloc(1, memory_of(name.len));

    if (!queue)
        return NULL;
    queue->queues = queues;
    memcpy(queue->name, name.data, name.len);
    queue->stored = (StoredQueue){.name = queue->name, .name_len = name.len};
    queue->is_dead = queue_name_is_dead(name);
    queue_configure(queue);
    HASH_ADD_KEYPTR(hh, queues->table, queue->name, queue->stored.name_len, queue);
    if (!hash_added(queue)) {
        queue_set_store(queue, NULL);
        free(queue);
        return NULL;
    }
    queues->broker->budget.bytes[BUDGET_QUEUES] += memory_of(name.len);
    queues->last = queue;
    return queue;
}

Queue *queue_get(Queues *queues, Span name, Problem *problem) {
    Queue *queue = name.len > 0 ? queue_find(queues, name) : NULL;

    if (queue)
        return queue;
    if (!name_is_valid(name.data, name.len)) {
        problem_set(problem, "ferry.InvalidArgument", "queue '%s': %s", shown(name),
                    name_problem(name.data, name.len));
        return NULL;
    }
    if (name.len > QUEUE_NAME_MAX && !queue_name_is_dead(name)) {
        problem_set(problem, "ferry.InvalidArgument",
                    "the name of a queue has at most %d bytes, so that '.dead' can be added",
                    QUEUE_NAME_MAX);
        return NULL;
    }
    if (name_is_reserved(name.data, name.len)) {
        problem_set(problem, "ferry.PermissionDenied",
                    "queue '%s': names that begin with 'ferry.' belong to the broker", shown(name));
        return NULL;
    }
    if (HASH_COUNT(queues->table) >= queues->broker->limits.max_names) {
        problem_set(problem, "ferry.Full", "the broker has %u queues already (max_names)",
                    HASH_COUNT(queues->table));
        return NULL;
    }
    if (!broker_may_store(queues->broker, memory_of(name.len))) {
        problem_set(problem, "ferry.Full",
                    "the broker is full: max_total_bytes or max_memory is reached");
        return NULL;
    }
    queue = queue_new(queues, name);
    if (!queue)
        problem_set(problem, "ferry.OutOfMemory", "the broker is out of memory");
    return queue;
}

/* The number of queues may exceed max_names here: each queue has at most one dead-letter queue. */
Queue *queue_dead_of(Queue *queue) {
    uint8_t name[NAME_MAX_LEN + 1];
    Span span = {name, queue->stored.name_len + 5};
    Queue *dead;

    memcpy(name, queue->name, queue->stored.name_len);
    memcpy(name + queue->stored.name_len, ".dead", 5);
    dead = queue_find(queue->queues, span);
    return dead ? dead : queue_new(queue->queues, span);
}

/* ---- the end of a queue ---- */

static size_t memory_of_forward(size_t name_len) {
    return sizeof(Forward) + name_len + 1;
}

void queue_count_forward(Queue *queue, Span to) {
    Budget *budget = &queue->queues->broker->budget;
    Forward *forward;
    unsigned n = 0;

    LL_FOREACH(queue->forwards, forward) {
        if (span_is(to, forward->to)) {
            forward->n_jobs++;
            return;
        }
        n++;
    }
    if (n == FORWARDS_MAX || !budget_allows(budget, memory_of_forward(to.len)))
        return;
    /* NOLINTNEXTLINE(clang-analyzer-optin.portability.UnixAPI): the size counts a struct */
    forward = malloc(memory_of_forward(to.len));
    if (!forward)
        return;
    forward->n_jobs = 1;
    memcpy(forward->to, to.data, to.len);
    forward->to[to.len] = '\0';
    LL_APPEND(queue->forwards, forward);
    budget->bytes[BUDGET_QUEUES] += memory_of_forward(to.len);
}

static void free_forwards(Queue *queue) {
    Forward *forward;

    while ((forward = queue->forwards)) {
        queue->forwards = forward->next;
        queue->queues->broker->budget.bytes[BUDGET_QUEUES] -=
            memory_of_forward(strlen(forward->to));
        free(forward);
    }
}

void queue_free(Queue *queue) {
    Queues *queues = queue->queues;

    walks_pass(queues->broker->walks, queue, queue->hh.next);
    timer_disarm(&queues->broker->timers, &queue->key_timer);
    timer_disarm(&queues->broker->timers, &queue->idle);
    timer_disarm(&queues->broker->timers, &queue->rate_timer);
    for (Queue **link = &queues->touched; queue->touched && *link; link = &(*link)->next_touched)
        if (*link == queue) {
            *link = queue->next_touched;
            break;
        }
    if (queues->last == queue)
        queues->last = NULL;
    HASH_DEL(queues->table, queue);
    queue_set_store(queue, NULL);
    free_forwards(queue);
    queues->broker->budget.bytes[BUDGET_QUEUES] -= memory_of(queue->stored.name_len);
    free(queue);
}

static bool is_idle(const Queue *queue) {
    return queue->n_jobs == 0 && queue->n_pulls == 0 && queue->n_keys == 0 && !queue->paused &&
           queue->n_sweeps == 0 && !queue->binds && !queue->settings.named;
}

static void on_idle(Timer *timer, void *ctx) {
    Queue *queue = container_of(timer, Queue, idle);

    (void)ctx;
    if (!is_idle(queue))
        return;
    store_queue_gone(queue->settings.store, &queue->stored);
    restored_pushes_queue_gone(queue);
    queue_free(queue);
}

void queue_maybe_idle(Queue *queue) {
    Broker *broker = queue->queues->broker;

    if (is_idle(queue) && !timer_armed(&queue->idle))
        timer_arm(&broker->timers, &queue->idle, broker->now_ms + QUEUE_IDLE_MS, on_idle);
}

/* ---- the end of the turn ---- */

void queue_touch(Queue *queue) {
    if (queue->touched)
        return;
    queue->touched = true;
    queue->next_touched = queue->queues->touched;
    queue->queues->touched = queue;
}
