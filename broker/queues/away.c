/* SPDX-License-Identifier: Apache-2.0 */

/* Queues whose shard is away: which ones, and the error ferry.Moved. See queues-private.h. */

#include <stdlib.h>

#include "broker/queues/pulls-private.h"
#include "broker/queues/queues-private.h"
#include "broker/queues/shards-private.h"
#include "rpc/wire/name.h"

/* NULL: the name is not that of a queue, or there are no shards. */
static Store *store_of(Queues *queues, Span name) {
    const Queue *queue;

    if (queues->n_shards == 0)
        return NULL;
    queue = name.len > 0 ? queue_find(queues, name) : NULL;
    if (queue)
        return queue->settings.store;
    if (!name_is_valid(name.data, name.len) || name_is_reserved(name.data, name.len))
        return NULL;
    return settings_store(queues, name);
}

Store *shard_away(Queues *queues, Span name) {
    Store *store = store_of(queues, name);

    return store && store_is_away(store) ? store : NULL;
}

/* ---- the answer ---- */

/* A shard that is about to leave has no other broker yet. */
static bool has_owner(const Store *store) {
    return store->away && store->owner.is_known;
}

void problem_set_moved(Problem *problem, Span queue, const Store *store) {
    if (has_owner(store))
        problem_set(problem, "ferry.Moved", "the queue '%s' is at another broker: %s", shown(queue),
                    store->owner.url);
    else if (*store->degraded)
        problem_set(problem, "ferry.Moved", "no broker has the queue '%s': %s", shown(queue),
                    store->degraded);
    else
        problem_set(problem, "ferry.Moved",
                    "the queue '%s' is moving from one broker to another: try again soon",
                    shown(queue));
    problem->away = store;
}

/* Writes the keys `broker` and `url`, as far as they are known. Returns their number. */
static uint32_t write_owner(Buffer *to, const Broker *broker, const Store *store) {
    bool is_here = !store_is_away(store);

    if (!is_here && !has_owner(store))
        return 0;
    write_text(to, "broker");
    write_bin(to, is_here ? broker->id : store->owner.broker, WIRE_TOKEN);
    if (is_here)
        return 1;
    write_text(to, "url");
    write_text(to, store->owner.url);
    return 2;
}

/* moved: see push_refuse(); 0: the answer is not counted. */
static void send_problem(Session *session, uint64_t id, const Problem *problem, uint64_t moved) {
    CLEANUP(buffer_deinit) Buffer pairs = {0};
    uint32_t n = problem->away ? write_owner(&pairs, session->broker, problem->away) : 0;

    if (moved > 0) {
        write_text(&pairs, "moved");
        write_uint(&pairs, moved);
        n++;
    }
    if (problem->is_kept) {
        write_text(&pairs, "kept");
        write_uint(&pairs, 1);
        n++;
    }
    if (problem->is_unknown) {
        write_text(&pairs, "unknown");
        write_uint(&pairs, 1);
        n++;
    }
    session_error_with(session, id, problem->type, pairs.failed ? 0 : n,
                       span_of(pairs.data, pairs.failed ? 0 : pairs.len), "%s", problem->text);
}

void problem_answer(Session *session, uint64_t id, const Problem *problem) {
    send_problem(session, id, problem, 0);
}

/* ---- the order of pushes ---- */

/* The answers ferry.Moved to pushes of one session. */
struct MovedPushes {
    uint64_t n;
    uint64_t at[STORE_SHARDS_MAX]; /* n after the last one for a queue of this shard */
};

static uint64_t count_moved(Session *session, const Store *store) {
    struct MovedPushes *moved = session->moved;

    if (!moved) {
        moved = session->moved = calloc(1, sizeof(*moved));
        if (!moved)
            return 0;
        session->broker->budget.bytes[BUDGET_QUEUES] += sizeof(*moved);
    }
    return moved->at[store->shard - 1] = ++moved->n;
}

void push_refuse(Session *session, uint64_t id, const Problem *problem) {
    uint64_t moved;

    if (!problem->away || id == 0) {
        problem_answer(session, id, problem);
        return;
    }
    moved = count_moved(session, problem->away);
    if (moved > 0)
        send_problem(session, id, problem, moved);
    else
        session_out_of_memory(session); /* later pushes could overtake this one */
}

int push_in_order(Queues *queues, const Session *session, const Message *push, uint64_t moved,
                  Problem *problem) {
    const Store *store;

    if (!session->moved || !(push->push.flags & PUSH_COUNTS))
        return 0;
    store = store_of(queues, push->name);
    if (!store || !store->shard || store_is_away(store) ||
        moved >= session->moved->at[store->shard - 1])
        return 0;
    problem_set(problem, "ferry.Moved",
                "the queue '%s' has come to this broker: send again what it has refused before",
                shown(push->name));
    problem->away = store;
    return -1;
}

void moved_session_gone(Session *session) {
    if (session->moved)
        session->broker->budget.bytes[BUDGET_QUEUES] -= sizeof(*session->moved);
    free(session->moved);
    session->moved = NULL;
}

void shard_tell_moved(const Pull *pull) {
    const Queue *queue = pull->queue;
    const Store *store = queue->settings.store;
    Message moved = {.op = OP_MOVED, .name = span_of(queue->name, queue->stored.name_len)};

    if (has_owner(store)) {
        moved.moved.broker = span_of(store->owner.broker, WIRE_TOKEN);
        moved.moved.url = span_text(store->owner.url);
    }
    session_send(pull->session, LANE_BULK, &moved, NULL); /* not before the queue's last JOB */
}
