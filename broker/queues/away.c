/* SPDX-License-Identifier: Apache-2.0 */

/* Queues whose shard is away: which ones, and the error ferry.Moved. See queues-private.h. */

#include "broker/queues/queues-private.h"
#include "rpc/wire/name.h"

Store *shard_away(Queues *queues, Span name) {
    const Queue *queue;
    Store *store;

    if (queues->n_shards == 0)
        return NULL;
    queue = name.len > 0 ? queue_find(queues, name) : NULL;
    if (queue)
        store = queue->settings.store;
    else if (name_is_valid(name.data, name.len) && !name_is_reserved(name.data, name.len))
        store = settings_store(queues, name);
    else
        return NULL;
    return store_is_away(store) ? store : NULL;
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
    else
        problem_set(problem, "ferry.Moved",
                    "the queue '%s' is moving from one broker to another: try again soon",
                    shown(queue));
    problem->away = store;
}

void problem_answer(Session *session, uint64_t id, const Problem *problem) {
    CLEANUP(buffer_deinit) Buffer pairs = {0};
    uint32_t n = 0;

    if (problem->away && has_owner(problem->away)) {
        write_text(&pairs, "broker");
        write_bin(&pairs, problem->away->owner.broker, WIRE_TOKEN);
        write_text(&pairs, "url");
        write_text(&pairs, problem->away->owner.url);
        n = pairs.failed ? 0 : 2;
    }
    session_error_with(session, id, problem->type, n, span_of(pairs.data, pairs.len), "%s",
                       problem->text);
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
