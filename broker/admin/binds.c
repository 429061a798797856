/* SPDX-License-Identifier: Apache-2.0 */
/* Durable subscriptions. See binds.h. */

#include "broker/admin/binds.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <utlist.h>

#include "base/log.h"
#include "broker/core/peer-log.h"
#include "broker/queues/queues-private.h"
#include "broker/topics/topics.h"
#include "broker/topics/tree.h"
#include "rpc/wire/name.h"

static const char fact_prefix[] = "bind ";

typedef struct BoundPattern BoundPattern;

/* A queue bound to a pattern. */
struct Bind {
    Bind *prev, *next; /* in queue->binds */
    Bind *next_same;   /* in pattern->binds: the next bind of the pattern */
    Queue *queue;
    BoundPattern *pattern;
    bool is_by_command;  /* a command has made it */
    bool is_configured;  /* the configuration has it */
    bool was_configured; /* the configuration had it before it was read again */
};

struct BoundPattern {
    Bind *binds;
    TopicNode *node;
    uint32_t len;
    char text[];
};

struct Binds {
    Broker *broker;
    TopicTree tree; /* from patterns to BoundPatterns */
    size_t n;
    uint64_t mark; /* the number of messages so far: marks the queues that the last one has found */
    Queue **found; /* queues that get the message that is being published: room for n */
    size_t n_found;
    bool reloading;
};

/* ---- the table ---- */

static Bind *find(const Binds *binds, const Queue *queue, Span pattern) {
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
    topic_node_set(pattern->node, NULL);
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

static void bind_free(Binds *binds, Bind *bind) {
    Queue *queue = bind->queue;
    Bind **link = &bind->pattern->binds;

    while (*link != bind)
        link = &(*link)->next_same;
    *link = bind->next_same;
    pattern_free_if_unused(binds, bind->pattern);
    DL_DELETE(queue->binds, bind);
    free(bind);
    binds->n--;
    binds->broker->n_binds--;
    queue_maybe_idle(queue);
}

static void free_if_unused(Binds *binds, Bind *bind) {
    if (!bind->is_by_command && !bind->is_configured && !(binds->reloading && bind->was_configured))
        bind_free(binds, bind);
}

/* Finds the bind of this queue and pattern; makes it if it is missing. */
static int get(Binds *binds, Span queue_name, Span pattern, Bind **ret, Problem *problem) {
    Queue *queue = queue_get(binds->broker->queues, queue_name, problem);
    Bind *bind = queue ? find(binds, queue, pattern) : NULL;

    if (!queue)
        return -EINVAL;
    if (queue->settings.store->shard) {
        queue_maybe_idle(queue);
        problem_set(problem, "ferry.Unsupported",
                    "the queue '%s' is in a store with shards: such a queue cannot be bound to "
                    "topics yet",
                    queue->name);
        return -EOPNOTSUPP;
    }
    if (!bind && binds->n >= QUEUE_BINDS_MAX) {
        problem_set(problem, "ferry.Full", "the broker already has %d binds, the maximum",
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

/* ---- by command: facts "bind QUEUE PATTERN" ---- */

/* A fact says that a bind is made, restored or removed. */
static void on_fact(Span name, Span value, unsigned shard, void *ctx) {
    Binds *binds = ctx;
    Span rest = {name.data + sizeof(fact_prefix) - 1, name.len - (sizeof(fact_prefix) - 1)};
    const uint8_t *space = memchr(rest.data, ' ', rest.len);
    Problem problem;
    Bind *bind = NULL;
    Span queue, pattern;

    (void)shard;
    if (!space)
        return;
    queue = (Span){rest.data, (size_t)(space - rest.data)};
    pattern = (Span){space + 1, rest.len - queue.len - 1};
    if (value.len > 0) {
        if (get(binds, queue, pattern, &bind, &problem) < 0)
            log_error("queue '%s' cannot be bound to '%s': %s", shown(queue), shown(pattern),
                      problem.text);
        else
            bind->is_by_command = true;
        return;
    }
    if (queue_find(binds->broker->queues, queue))
        bind = find(binds, queue_find(binds->broker->queues, queue), pattern);
    if (bind) {
        bind->is_by_command = false;
        free_if_unused(binds, bind);
    }
}

static Span fact_name(Buffer *to, Span queue, Span pattern) {
    buffer_append(to, fact_prefix, sizeof(fact_prefix) - 1);
    buffer_append(to, queue.data, queue.len);
    buffer_append(to, " ", 1);
    buffer_append(to, pattern.data, pattern.len);
    return span_of(to->data, to->len);
}

int binds_add(Binds *binds, Span queue, Span pattern, Session *session, uint64_t id,
              ferry_error *reterr) {
    CLEANUP(buffer_deinit) Buffer name = {0};
    Problem problem;
    Bind *bind = NULL;
    int r;

    if (!pattern_is_valid(pattern.data, pattern.len))
        return error_set(reterr, "ferry.InvalidArgument", "the pattern '%s': %s", shown(pattern),
                         pattern_problem(pattern.data, pattern.len));
    if (name_is_reserved(pattern.data, pattern.len))
        return error_set(reterr, "ferry.InvalidArgument",
                         "the broker's own topics, 'ferry.…', cannot be bound to a queue");
    r = get(binds, queue, pattern, &bind, &problem);
    if (r < 0)
        return error_set(reterr, problem.type, "%s", problem.text);
    fact_name(&name, queue, pattern);
    r = name.failed ? -ENOMEM
                    : queues_keep_fact(binds->broker->queues, queue, span_of(name.data, name.len),
                                       span_text("1"), session, id);
    if (r < 0)
        free_if_unused(binds, bind);
    return r;
}

int binds_remove(Binds *binds, Span queue_name, Span pattern, Session *session, uint64_t id) {
    CLEANUP(buffer_deinit) Buffer name = {0};
    Queue *queue = queue_find(binds->broker->queues, queue_name);
    const Bind *bind = queue ? find(binds, queue, pattern) : NULL;

    if (!bind)
        return -ENOENT;
    if (!bind->is_by_command)
        return -EPERM;
    fact_name(&name, queue_name, pattern);
    return name.failed
               ? -ENOMEM
               : queues_keep_fact(binds->broker->queues, queue_name, span_of(name.data, name.len),
                                  (Span){NULL, 0}, session, id);
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
        r = get(binds, span_text(queue), pattern, &bind, &why);
        if (r < 0) {
            snprintf(text, sizeof(text), "%s", why.text);
            *problem = text;
            return r;
        }
        bind->is_configured = true;
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
    for_each(binds, free_if_unused);
}

/* ---- publishing ---- */

/* If two patterns of one queue match, the queue gets one job. */
static void collect(void *value, void *ctx) {
    const BoundPattern *pattern = value;
    Binds *binds = ctx;

    for (const Bind *bind = pattern->binds; bind; bind = bind->next_same) {
        Queue *queue = bind->queue;

        if (queue->fan_mark == binds->mark)
            continue;
        queue->fan_mark = binds->mark;
        binds->found[binds->n_found++] = queue;
    }
}

static void find_queues(Binds *binds, Span topic) {
    binds->mark++;
    binds->n_found = 0;
    binds->broker->work +=
        (unsigned)topic_tree_match(&binds->tree, topic.data, topic.len, collect, binds);
    binds->broker->work += (unsigned)binds->n_found;
}

/* Removes the queues that cannot store the message from the list. False: the publisher waits for an
 * answer and has got an error; no queue and no subscriber gets the message. */
static bool check_queues(Binds *binds, Session *session, const Message *message) {
    char problem[600];
    const char *type;
    size_t n = 0;

    for (size_t i = 0; i < binds->n_found; i++) {
        Queue *queue = binds->found[i];

        if (queues_fan_out_check(queue, message, problem, sizeof(problem), &type) == 0) {
            binds->found[n++] = queue;
            continue;
        }
        session->n_dropped++;
        if (message->id) {
            session_error(session, message->id, type, "cannot publish to '%s': %s",
                          shown(message->name), problem);
            return false;
        }
        queue->n_dropped++;
        binds->broker->stats.dropped++;
        peer_log(binds->broker, LOG_LEVEL_WARNING,
                 "a bound queue misses a message: topic='%s' problem='%s'", shown(message->name),
                 problem);
    }
    binds->n_found = n;
    return true;
}

void binds_publish(Binds *binds, Session *session, const Message *message, const void *block) {
    Fanout *fan_out;

    /* Answers to a question must come now: a job would be answered too late. */
    if (!(message->publish.flags & PUBLISH_GATHER) &&
        name_is_valid(message->name.data, message->name.len))
        find_queues(binds, message->name);
    else
        binds->n_found = 0;
    if (binds->n_found > 0 && !check_queues(binds, session, message))
        return;
    if (binds->n_found == 0) {
        topics_publish(binds->broker->topics, session, message, block);
        return;
    }
    if (queues_fan_out(binds->broker->queues, binds->found, binds->n_found, session, message, block,
                       &fan_out) < 0) {
        session->n_dropped++;
        session_error(session, message->id, "ferry.OutOfMemory",
                      "cannot publish to '%s': the broker is out of memory", shown(message->name));
        return;
    }
    if (topics_publish_unanswered(binds->broker->topics, session, message, block))
        queues_fan_out_store(fan_out);
    else
        queues_fan_out_cancel(fan_out);
}

/* ---- new and free ---- */

int binds_new(Binds **ret, Broker *broker) {
    Binds *binds = calloc(1, sizeof(*binds));

    if (!binds || topic_tree_init(&binds->tree) < 0) {
        free(binds);
        return -ENOMEM;
    }
    binds->broker = broker;
    queues_watch_facts(broker->queues, fact_prefix, on_fact, binds);
    *ret = binds;
    return 0;
}

Binds *binds_free(Binds *binds) {
    if (!binds)
        return NULL;
    for_each(binds, bind_free);
    topic_tree_deinit(&binds->tree);
    free(binds->found);
    free(binds);
    return NULL;
}
