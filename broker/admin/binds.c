/* SPDX-License-Identifier: Apache-2.0 */
/* Durable subscriptions: the binds of this broker. See binds.h. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <utlist.h>

#include "base/container.h"
#include "base/log.h"
#include "broker/admin/binds-private.h"
#include "rpc/wire/name.h"

/* ---- the table ---- */

Bind *bind_find(const Binds *binds, const Queue *queue, Span pattern) {
    const BoundPattern *bound = topic_tree_get(&binds->tree, pattern.data, pattern.len);
    Bind *bind = bound ? bound->binds : NULL;

    while (bind && bind->queue != queue)
        bind = bind->next_same;
    return bind;
}

static BoundPattern *pattern_get(Binds *binds, Span text) {
    BoundPattern *pattern = topic_tree_get(&binds->tree, text.data, text.len);

    if (pattern)
        return pattern;
    pattern = calloc(1, sizeof(*pattern) + text.len + 1);
    if (!pattern || topic_tree_put(&binds->tree, text.data, text.len, &pattern->node) < 0) {
        free(pattern);
        return NULL;
    }
    pattern->len = (uint32_t)text.len;
    memcpy(pattern->text, text.data, text.len);
    topic_node_set(pattern->node, pattern);
    return pattern;
}

static void pattern_free_if_unused(Binds *binds, BoundPattern *pattern) {
    if (pattern->binds)
        return;
    topic_tree_drop(&binds->tree, pattern->node);
    free(pattern);
}

static Bind *bind_new(Binds *binds, Queue *queue, Span text) {
    Queue **found = realloc(binds->found, (binds->n + 1) * sizeof(*found));
    BoundPattern *pattern = NULL;
    Bind *bind = NULL;

    if (found) {
        binds->found = found;
        pattern = pattern_get(binds, text);
    }
    if (pattern)
        bind = calloc(1, sizeof(*bind));
    if (!bind) {
        if (pattern)
            pattern_free_if_unused(binds, pattern);
        return NULL;
    }
    bind->queue = queue;
    bind->pattern = pattern;
    bind->next_same = pattern->binds;
    pattern->binds = bind;
    DL_APPEND(queue->binds, bind);
    binds->n++;
    binds->broker->n_binds++;
    return bind;
}

uint64_t bind_announce(Binds *binds, const Queue *queue) {
    const Store *store = queue->settings.store;

    return binds->relay && store->shard && !store->away
               ? binds->relay->ops->announce(binds->relay, store->shard - 1)
               : 0;
}

static void forget_full(Binds *binds, Queue *queue) {
    if (queue->announced_full)
        LL_DELETE2(binds->full, queue, next_full);
    queue->announced_full = false;
}

static void bind_free(Binds *binds, Bind *bind) {
    Queue *queue = bind->queue;
    Bind **link = &bind->pattern->binds;

    while (*link != bind)
        link = &(*link)->next_same;
    *link = bind->next_same;
    pattern_free_if_unused(binds, bind->pattern);
    DL_DELETE(queue->binds, bind);
    if (!queue->binds)
        forget_full(binds, queue);
    free(bind);
    binds->n--;
    binds->broker->n_binds--;
    bind_announce(binds, queue);
    queue_maybe_idle(queue);
}

void bind_free_if_unused(Binds *binds, Bind *bind) {
    if (!bind->is_by_command && !bind->is_configured && bind->n_changes == 0 &&
        !(binds->reloading && bind->was_configured))
        bind_free(binds, bind);
}

/* The number of binds in the broker, or in its cluster. */
static size_t count(const Binds *binds) {
    const Queues *queues = binds->broker->queues;
    size_t n = binds->n;

    for (unsigned k = 0; k < queues->n_shards; k++)
        if (queues->shards[k].store->away)
            n += remote_binds_count_of(binds->remote, k);
    return n;
}

int bind_get(Binds *binds, Span queue_name, Span pattern, bool is_restored, Bind **ret,
             Problem *problem) {
    Queue *queue = queue_get(binds->broker->queues, queue_name, problem);
    Bind *bind = queue ? bind_find(binds, queue, pattern) : NULL;

    if (!queue)
        return -EINVAL;
    if (!bind && !is_restored && count(binds) >= QUEUE_BINDS_MAX) {
        queue_maybe_idle(queue);
        problem_set(problem, "ferry.Full", "there are %d binds already, the maximum",
                    QUEUE_BINDS_MAX);
        return -ENOSPC;
    }
    if (!bind)
        bind = bind_new(binds, queue, pattern);
    if (!bind) {
        queue_maybe_idle(queue);
        problem_set(problem, "ferry.OutOfMemory", "the broker is out of memory");
        return -ENOMEM;
    }
    *ret = bind;
    return 0;
}

void binds_describe(const Queue *queue, Buffer *to) {
    uint32_t n = 0;
    Bind *bind;

    DL_FOREACH(queue->binds, bind) {
        n++;
    }
    write_array(to, n);
    DL_FOREACH(queue->binds, bind) {
        write_str(to, bind->pattern->text, bind->pattern->len);
    }
}

/* ---- by configuration ---- */

int binds_configure(Binds *binds, const char *queue, const char *patterns, const char **problem) {
    static char text[sizeof(((Problem *)0)->text)];
    Problem why;

    *problem = NULL;
    while (*patterns) {
        size_t skipped = strspn(patterns, " \t,"), len = strcspn(patterns + skipped, " \t,");
        Span pattern = span_of(patterns + skipped, len);
        Bind *bind = NULL;
        int r;

        patterns += skipped + len;
        if (len == 0)
            continue;
        if (!pattern_is_valid(pattern.data, pattern.len)) {
            *problem = "bind must be patterns of topics, with spaces between them";
            return -EINVAL;
        }
        if (name_is_reserved(pattern.data, pattern.len)) {
            *problem = "the broker's own topics, 'ferry.…', cannot be bound to a queue";
            return -EINVAL;
        }
        r = bind_get(binds, span_text(queue), pattern, false, &bind, &why);
        if (r < 0) {
            snprintf(text, sizeof(text), "%s", why.text);
            *problem = text;
            return r;
        }
        bind->is_configured = true;
        bind_announce(binds, bind->queue);
    }
    return 0;
}

typedef void (*BindFn)(Binds *binds, Bind *bind);

static void for_each(Binds *binds, BindFn fn) {
    for (Queue *queue = binds->broker->queues->table; queue; queue = queue->hh.next) {
        Bind *bind, *next;

        DL_FOREACH_SAFE(queue->binds, bind, next) {
            fn(binds, bind);
        }
    }
}

static void forget_configured(Binds *binds, Bind *bind) {
    (void)binds;
    bind->was_configured = bind->is_configured;
    bind->is_configured = false;
}

static void restore_configured(Binds *binds, Bind *bind) {
    (void)binds;
    bind->is_configured = bind->was_configured;
}

void binds_reload(Binds *binds) {
    for_each(binds, forget_configured);
    binds->reloading = true;
}

void binds_reloaded(Binds *binds, bool is_right) {
    if (!is_right)
        for_each(binds, restore_configured);
    binds->reloading = false;
    for_each(binds, bind_free_if_unused);
}

/* ---- other brokers ---- */

static bool write_binds(unsigned k, Buffer *to, void *ctx) {
    const Binds *binds = ctx;
    const StoreShard *shard = &binds->broker->queues->shards[k];
    const Queue *queue;
    const Bind *bind;
    uint32_t n = 0;

    if (shard->store->away)
        return false;
    DL_FOREACH2(shard->queues, queue, shard_next) {
        DL_FOREACH(queue->binds, bind) {
            n += bind_counts(bind);
        }
    }
    write_array(to, n + schedule_names_write(binds, k + 1, NULL));
    DL_FOREACH2(shard->queues, queue, shard_next) {
        DL_FOREACH(queue->binds, bind) {
            if (bind_counts(bind))
                remote_binds_write(to, span_of(queue->name, queue->stored.name_len),
                                   span_of(bind->pattern->text, bind->pattern->len),
                                   queue->announced_full);
        }
    }
    schedule_names_write(binds, k + 1, to);
    return true;
}

/* A shard that is here, and whose last announcement is another one, is announced again: its last
 * broker may have ended between an announcement and the change in the store. */
static void on_binds(unsigned k, Span announcement, void *ctx) {
    CLEANUP(buffer_deinit) Buffer own = {0};
    Binds *binds = ctx;
    size_t before = remote_binds_count(binds->remote);
    int r = remote_binds_set(binds->remote, k, announcement);

    binds->broker->n_binds += remote_binds_count(binds->remote) - before;
    if (r < 0)
        log_error("the announced binds of a shard cannot be used: shard=%u reason='%s'", k,
                  strerror(-r));
    if (write_binds(k, &own, binds) && !own.failed &&
        !remote_binds_are(binds->remote, k, span_of(own.data, own.len)))
        binds->relay->ops->announce(binds->relay, k);
}

static void on_known(uint64_t number, void *ctx) {
    bind_changes_known(ctx, number);
    schedule_names_known(ctx, number);
}

/* ---- full queues ---- */

static bool has_room(const Queue *queue) {
    const QueueSettings *settings = &queue->settings;

    return queue->n_jobs <= settings->max_jobs - (settings->max_jobs + 7) / 8 &&
           queue->bytes <= settings->max_bytes - (settings->max_bytes + 7) / 8;
}

static void on_full_timer(Timer *timer, void *ctx) {
    Binds *binds = container_of(timer, Binds, full_timer);
    Queue *queue, *next;

    (void)ctx;
    for (queue = binds->full; queue; queue = next) {
        next = queue->next_full;
        if (!store_is_away(queue->settings.store) && !has_room(queue))
            continue;
        forget_full(binds, queue);
        bind_announce(binds, queue);
    }
    if (binds->full)
        timer_arm(&binds->broker->timers, timer, binds->broker->now_ms + FULL_LOOK_MS,
                  on_full_timer);
}

static void on_full(Queue *queue, void *ctx) {
    Binds *binds = ctx;

    if (queue->announced_full || !queue->binds)
        return;
    queue->announced_full = true;
    LL_PREPEND2(binds->full, queue, next_full);
    bind_announce(binds, queue);
    if (!timer_armed(&binds->full_timer))
        timer_arm(&binds->broker->timers, &binds->full_timer, binds->broker->now_ms + FULL_LOOK_MS,
                  on_full_timer);
}

static void on_sent(void *sending, int result, void *ctx) {
    const Binds *binds = ctx;

    queues_sent(binds->broker->queues, sending, result);
}

void binds_set_relay(Binds *binds, TopicRelay *relay) {
    binds->relay = relay;
    binds->broker->queues->relay = relay;
    binds->broker->queues->on_bound_full = on_full;
    binds->broker->queues->bound_full_ctx = binds;
    relay->user = (RelayUser){.ctx = binds,
                              .write_binds = write_binds,
                              .on_binds = on_binds,
                              .on_known = on_known,
                              .on_sent = on_sent};
    schedule_names_watch(binds);
}

/* ---- new and free ---- */

static void session_gone(Room *room, Session *session) {
    bind_changes_session_gone((Binds *)room, session);
    schedule_names_session_gone((Binds *)room, session);
}

static const RoomOps room_ops = {.session_gone = session_gone};

int binds_new(Binds **ret, Broker *broker) {
    Binds *binds = calloc(1, sizeof(*binds));

    if (!binds || topic_tree_init(&binds->tree) < 0) {
        free(binds);
        return -ENOMEM;
    }
    binds->broker = broker;
    if (remote_binds_new(&binds->remote, broker->queues) < 0) {
        topic_tree_deinit(&binds->tree);
        free(binds);
        return -ENOMEM;
    }
    room_open(broker, &binds->room, &room_ops);
    bind_changes_watch(binds);
    *ret = binds;
    return 0;
}

Binds *binds_free(Binds *binds) {
    if (!binds)
        return NULL;
    binds->relay = NULL;
    binds->broker->queues->on_bound_full = NULL;
    timer_disarm(&binds->broker->timers, &binds->full_timer);
    room_close(binds->broker, &binds->room);
    bind_changes_free(binds);
    schedule_names_free(binds);
    for_each(binds, bind_free);
    binds->broker->n_binds -= remote_binds_count(binds->remote);
    remote_binds_free(binds->remote);
    topic_tree_deinit(&binds->tree);
    free(binds->found);
    free(binds->far);
    free(binds);
    return NULL;
}
