/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Binds that commands make and remove: facts "bind QUEUE PATTERN". In a cluster all brokers are
 * told first, then the store keeps the fact, and then the command is answered: a message that is
 * published after the answer is stored, whichever broker gets it. See binds-private.h.
 */

#include <errno.h>
#include <stdlib.h>
#include <utlist.h>

#include "base/log.h"
#include "broker/admin/binds-private.h"
#include "broker/queues/changes-private.h"
#include "broker/queues/shards-private.h"
#include "rpc/wire/name.h"

static const char fact_prefix[] = "bind ";

/* A command that waits until all brokers of the cluster know the announcement. */
struct BindChange {
    BindChange *prev, *next; /* in binds->changes, in the order of their numbers */
    Session *session;        /* gets the answer to id; NULL: the session is gone */
    uint64_t id;
    uint64_t number; /* of the announcement */
    bool is_removal;
    uint32_t n_queue, n_pattern;
    uint8_t text[]; /* the name of the queue, and the pattern */
};

/* A fact says that a bind is made, restored or removed. */
static void on_fact(Span name, Span value, unsigned shard, void *ctx) {
    Binds *binds = ctx;
    Span rest = {name.data + sizeof(fact_prefix) - 1, name.len - (sizeof(fact_prefix) - 1)};
    const uint8_t *space = memchr(rest.data, ' ', rest.len);
    Problem problem;
    Bind *bind = NULL;
    Span queue, pattern;

    if (!space)
        return;
    queue = (Span){rest.data, (size_t)(space - rest.data)};
    pattern = (Span){space + 1, rest.len - queue.len - 1};
    if (value.len > 0) {
        if (bind_get(binds, queue, pattern, shard > 0, &bind, &problem) < 0) {
            log_error("queue '%s' cannot be bound to '%s': %s", shown(queue), shown(pattern),
                      problem.text);
            return;
        }
        bind->is_by_command = true;
        bind->is_unwanted = false;
        bind_announce(binds, bind->queue);
        return;
    }
    if (queue_find(binds->broker->queues, queue))
        bind = bind_find(binds, queue_find(binds->broker->queues, queue), pattern);
    if (bind) {
        bind->is_by_command = bind->is_unwanted = false;
        bind_free_if_unused(binds, bind);
    }
}

void bind_changes_watch(Binds *binds) {
    queues_watch_facts(binds->broker->queues, fact_prefix, on_fact, binds);
}

static Span fact_name(Buffer *to, Span queue, Span pattern) {
    buffer_append(to, fact_prefix, sizeof(fact_prefix) - 1);
    buffer_append(to, queue.data, queue.len);
    buffer_append(to, " ", 1);
    buffer_append(to, pattern.data, pattern.len);
    return span_of(to->data, to->len);
}

/* Makes the change in the store. QUEUES_LATER: the session gets the answer to id. */
static int keep(Binds *binds, Span queue, Span pattern, bool is_removal, Session *session,
                uint64_t id) {
    CLEANUP(buffer_deinit) Buffer name = {0};

    fact_name(&name, queue, pattern);
    return name.failed
               ? -ENOMEM
               : queues_keep_fact(binds->broker->queues, queue, span_of(name.data, name.len),
                                  is_removal ? (Span){NULL, 0} : span_text("1"), session, id);
}

/* ---- in a cluster ---- */

static Bind *bind_of(const Binds *binds, const BindChange *change) {
    Queue *queue = queue_find(binds->broker->queues, span_of(change->text, change->n_queue));

    return queue
               ? bind_find(binds, queue, span_of(change->text + change->n_queue, change->n_pattern))
               : NULL;
}

/* -EBUSY: there are too many changes; -ENOMEM. */
static int begin(Binds *binds, Bind *bind, bool is_removal, Session *session, uint64_t id) {
    size_t n_queue = bind->queue->stored.name_len, n_pattern = bind->pattern->len;
    BindChange *change;

    if (binds->n_changes >= BIND_CHANGES_MAX)
        return -EBUSY;
    change = calloc(1, sizeof(*change) + n_queue + n_pattern);
    if (!change)
        return -ENOMEM;
    change->session = session;
    change->id = id;
    change->is_removal = is_removal;
    change->n_queue = (uint32_t)n_queue;
    change->n_pattern = (uint32_t)n_pattern;
    memcpy(change->text, bind->queue->name, n_queue);
    memcpy(change->text + n_queue, bind->pattern->text, n_pattern);
    DL_APPEND(binds->changes, change);
    binds->n_changes++;
    bind->n_changes++;
    bind->is_unwanted = is_removal;
    change->number = bind_announce(binds, bind->queue);
    return QUEUES_LATER;
}

static void answer_error(const Binds *binds, const BindChange *change, int r) {
    Span queue = span_of(change->text, change->n_queue);
    const Store *away = shard_away(binds->broker->queues, queue);
    Problem problem;

    if (!change->session || !change->id)
        return;
    if (r == -EREMCHG && away) {
        problem_set_moved(&problem, queue, away);
        problem_answer(change->session, change->id, &problem);
    } else if (r == -ENOSPC) {
        session_error(change->session, change->id, "ferry.Full",
                      "the bind cannot be kept: there are too many names, or no room");
    } else {
        store_error(change->session, change->id, NULL, r);
    }
}

static void end(Binds *binds, BindChange *change) {
    Span queue = span_of(change->text, change->n_queue);
    Span pattern = span_of(change->text + change->n_queue, change->n_pattern);
    Bind *bind = bind_of(binds, change);
    int r;

    DL_DELETE(binds->changes, change);
    binds->n_changes--;
    r = keep(binds, queue, pattern, change->is_removal, change->session, change->id);
    if (r < 0)
        answer_error(binds, change, r);
    if (bind)
        bind = bind_of(binds, change); /* the fact may have ended it */
    if (bind) {
        bind->n_changes--;
        if (r < 0 && change->is_removal) {
            bind->is_unwanted = false;
            bind_announce(binds, bind->queue);
        }
        bind_free_if_unused(binds, bind);
    }
    free(change);
}

void bind_changes_known(Binds *binds, uint64_t number) {
    while (binds->changes && binds->changes->number <= number)
        end(binds, binds->changes);
}

void bind_changes_session_gone(Binds *binds, const Session *session) {
    BindChange *change;

    DL_FOREACH(binds->changes, change) {
        if (change->session == session)
            change->session = NULL;
    }
}

void bind_changes_free(Binds *binds) {
    BindChange *change, *next;

    DL_FOREACH_SAFE(binds->changes, change, next) {
        DL_DELETE(binds->changes, change);
        free(change);
    }
}

/* ---- commands ---- */

static bool is_shared(const Binds *binds, const Bind *bind) {
    return binds->relay && bind->queue->settings.store->shard > 0;
}

int binds_add(Binds *binds, Span queue, Span pattern, Session *session, uint64_t id,
              ferry_error *reterr) {
    Problem problem;
    Bind *bind = NULL;
    int r;

    if (!pattern_is_valid(pattern.data, pattern.len))
        return error_set(reterr, "ferry.InvalidArgument", "the pattern '%s': %s", shown(pattern),
                         pattern_problem(pattern.data, pattern.len));
    if (name_is_reserved(pattern.data, pattern.len))
        return error_set(reterr, "ferry.InvalidArgument",
                         "the broker's own topics, 'ferry.…', cannot be bound to a queue");
    r = bind_get(binds, queue, pattern, false, &bind, &problem);
    if (r < 0)
        return error_set(reterr, problem.type, "%s", problem.text);
    r = is_shared(binds, bind) ? begin(binds, bind, false, session, id)
                               : keep(binds, queue, pattern, false, session, id);
    if (r < 0)
        bind_free_if_unused(binds, bind);
    return r == -EBUSY
               ? error_set(reterr, "ferry.Overloaded",
                           "%d changes of binds are under way: try again soon", BIND_CHANGES_MAX)
               : queues_not_kept(r, reterr);
}

int binds_remove(Binds *binds, Span queue_name, Span pattern, Session *session, uint64_t id) {
    Queue *queue = queue_find(binds->broker->queues, queue_name);
    Bind *bind = queue ? bind_find(binds, queue, pattern) : NULL;

    if (!bind || (!bind->is_by_command && !bind->is_configured))
        return -ENOENT;
    if (!bind->is_by_command)
        return -EPERM;
    return is_shared(binds, bind) ? begin(binds, bind, true, session, id)
                                  : keep(binds, queue_name, pattern, true, session, id);
}
