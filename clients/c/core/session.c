/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Begin and end of sessions, and dispatch of each received message to its Await or to the part that
 * receives it. While a call blocks, messages that need a callback are deferred.
 */

#include "clients/c/core/session.h"

#include <stdlib.h>
#include <string.h>

#include "clients/c/core/loop.h"
#include "clients/c/core/route.h"
#include "rpc/schema/remote-error.h"

enum { CANCELLED_MAX = 4096 };

int await_put(Core *core, Await *await) {
    return id_map_put(&core->awaits, await->id, await);
}

void await_take(Core *core, Await *await) {
    if (await->id)
        id_map_take(&core->awaits, await->id);
    await->id = 0;
    await->deferred = false;
}

/* ---- deferred messages ---- */

bool deferred_put(Core *core, const Message *message, const void *block) {
    Record *record;

    /* Retained and replayed messages, and the messages of very many subscriptions, can exceed
     * DEFERRED_MAX. A dropped message leaves a gap in the sequence numbers, so it is counted as
     * missed, like a message that the broker drops. */
    if (core->deferred.records.bytes > DEFERRED_MAX && message->op == OP_MESSAGE)
        return false;
    record = record_new(message, block);
    if (!record)
        return false;
    record->received_ms = core_received_ms(core);
    if (!core->deferred.records.first)
        core->deferred.batch = link_batch(core->link);
    records_put(&core->deferred.records, record);
    return true;
}

void deferred_claim(Core *core, uint64_t id,
                    void (*fn)(Core *core, Request *request, const Message *message,
                               const void *block),
                    Request *request) {
    RecordList *list = &core->deferred.records, rest = {0};
    Record *record;

    while ((record = records_take(list))) {
        const void *block;
        Message message;

        /* Ids of served streams have STREAM_ID and ids of this client's calls do not, so an answer
         * to a call never matches. */
        if (record->id != id || record->op == OP_CALL) {
            records_put(&rest, record);
            continue;
        }
        block = record_read(record, &message);
        fn(core, request, &message, block);
        record_free(record);
    }
    *list = rest;
}

/* True: the message must be deferred, because a call blocks or because messages of the same or an
 * earlier batch are deferred already. */
static bool is_for_later(const Core *core) {
    return core->waits > 0 ||
           (core->deferred.records.first && link_batch(core->link) >= core->deferred.batch);
}

static void defer_answer(Core *core, Await *await, const Message *message, const void *block) {
    /* The answer arrived in time: the deadline no longer applies. */
    await->deferred = true;
    deferred_put(core, message, block);
}

/* ---- dispatch ---- */

/* The broker says so. */
static bool is_outcome_unknown(Span error) {
    Reader unknown = pairs_find(error, "unknown");

    return reader_uint(&unknown) == 1;
}

void error_of_message(const Message *message, ferry_error *reterr) {
    remote_error_read(message->error.map, reterr);
    if (reterr->type &&
        (strcmp(reterr->type, "ferry.DeadlineExceeded") == 0 ||
         strcmp(reterr->type, "ferry.ServerLost") == 0 || is_outcome_unknown(message->error.map)))
        reterr->outcome_unknown = true;
}

static void to_await(Core *core, uint64_t id, const Message *message, const void *block,
                     bool later) {
    Await *await = id_map_get(&core->awaits, id);

    if (!await && core->route) {
        session_route_message(core->route, message, block, core->waits > 0);
        return;
    }
    if (!await || (core->closed && !await->at_close))
        return; /* too late: the call has ended */
    if (later && await->callback)
        defer_answer(core, await, message, block);
    else
        await->fn(core, await, message, block);
}

static void dispatch(Core *core, const Message *message, const void *block, bool later) {
    const struct Receiver *receiver =
        message->op < RECEIVED_OPS ? core->receivers[message->op] : NULL;

    switch (message->op) {
    case OP_OK:
    case OP_ERROR:
    case OP_PONG:
        to_await(core, message->id, message, block, later);
        return;
    case OP_ANSWER:
        to_await(core, message->answer.reply, message, block, later);
        return;
    case OP_ITEM:
    case OP_MORE:
        if (!(message->id & STREAM_ID)) {
            to_await(core, message->id, message, block, later);
            return;
        }
        break;
    default:
        break;
    }
    if (receiver)
        receiver->fn(core, message, block, later);
}

static void on_message(const Message *message, const void *block, void *ctx) {
    Core *core = ctx;

    if (!core->closed)
        dispatch(core, message, block, is_for_later(core));
    else if (message->op == OP_OK || message->op == OP_ERROR || message->op == OP_PONG)
        to_await(core, message->id, message, block, false);
}

void session_route_message(Route *route, const Message *message, const void *block, bool later) {
    Core *core = route->core;
    const Await *await;

    if (message->op != OP_OK && message->op != OP_ERROR && message->op != OP_ITEM &&
        message->op != OP_MORE)
        return;
    /* The answer to a call or push that was sent there, and to no other one. */
    await = id_map_get(&core->awaits, message->id);
    if (!await || await->route != route)
        return;
    /* A call with a callback gets one answer and no items. A server must not fill the list of
     * deferred messages with more. */
    if (!await->callback || (!await->deferred && (message->op == OP_OK || message->op == OP_ERROR)))
        to_await(core, message->id, message, block,
                 later || core->waits > 0 || core->deferred.records.first);
}

bool deferred_run(Core *core) {
    RecordList *list = &core->deferred.records;
    const Record *last = list->last;
    Record *record;

    if (!last) {
        /* No CALL is deferred, so the remaining cancellations belong to calls that have ended. */
        if (core->deferred.cancelled.n > CANCELLED_MAX)
            id_map_deinit(&core->deferred.cancelled);
        return false;
    }
    do {
        const void *block;
        Message message;

        record = records_take(list);
        block = record_read(record, &message);
        core->received_ms = record->received_ms;
        if (!core->closed)
            dispatch(core, &message, block, false);
        core->received_ms = 0;
        record_free(record);
    } while (record != last && list->first);
    if (!list->first)
        id_map_deinit(&core->deferred.cancelled);
    return true;
}

/* ---- unsent messages ---- */

static bool is_settlement(unsigned op) {
    return op >= OP_ACK && op <= OP_FORWARD;
}

int core_send(Core *core, Lane lane, const Message *message, const void *block) {
    Record *record;
    int r;

    if (!core->link)
        return -ECANCELED;
    if (message->id & DIRECT_ID)
        return core->direct_ops->send(core, lane, message, block);
    if (core->is_up && !core->unsent.first) {
        r = link_put(core->link, lane, message, block);
        if (r != -EAGAIN) {
            core_sent(core);
            return r;
        }
    }
    record = record_new(message, block);
    if (!record)
        return -ENOMEM;
    record->id = message->id;
    record->lane = (uint8_t)lane;
    records_put(&core->unsent, record);
    return 0;
}

void credit_return(Core *core, uint64_t id, uint64_t *consumed, size_t body_len) {
    *consumed += body_len + WIRE_ITEM_COST;
    if (*consumed < WIRE_CONSUMER_CREDIT / 4)
        return;
    core_send(core, LANE_CALLS, &(Message){.op = OP_MORE, .id = id, .more.bytes = *consumed}, NULL);
    *consumed = 0;
}

void unsent_pump(Core *core) {
    while (core->unsent.first) {
        Message message;
        const void *block = record_read(core->unsent.first, &message);

        if (link_put(core->link, (Lane)core->unsent.first->lane, &message, block) < 0)
            return;
        record_free(records_take(&core->unsent));
    }
}

/* True: the next session sends this message. Settlements of jobs remain valid; answers to requests
 * of the ended session do not. */
static bool outlives_session(const Record *record, const void *ctx) {
    (void)ctx;
    return is_settlement(record->op);
}

/* ---- sessions ---- */

const char *session_problem_type(const ferry_error *problem) {
    return strcmp(problem->type, "ferry.PermissionDenied") == 0 ? "ferry.PermissionDenied"
                                                                : "ferry.NotConnected";
}

int session_missing(Core *core, ferry_error *reterr) {
    const ferry_error *problem = link_problem(core->link);

    if (problem && link_brokers(core->link)->n > 1)
        return error_set(reterr, session_problem_type(problem),
                         "none of the %u brokers of the URL can be used; the last one: %s",
                         link_brokers(core->link)->n, problem->message);
    if (problem)
        return error_set(reterr, session_problem_type(problem), "%s", problem->message);
    return error_set(reterr, "ferry.NotConnected", "nothing answers at %s", link_url(core->link));
}

int session_refused(const Core *core, ferry_error *reterr) {
    const ferry_error *problem = link_problem(core->link);

    if (link_state(core->link) != LINK_CLOSED || !problem)
        return 0;
    return error_set(reterr, problem->type, "%s", problem->message);
}

bool session_refuses_as_it_drains(const Core *core, uint64_t id, const ferry_error *error) {
    return core->brokers && error->type && strcmp(error->type, "ferry.Draining") == 0 &&
           (core_is_left(core, id) || link_leaves(core->link));
}

int session_await(const ferry_client *client, uint64_t until_ms, ferry_error *reterr) {
    Core *core = client->core;
    unsigned stops = __atomic_load_n(&core->wakeup.stops, __ATOMIC_ACQUIRE);
    uint64_t now_ms = clock_ms();

    if (!client->wait_for_broker && until_ms > now_ms + CONNECT_MS)
        until_ms = now_ms + CONNECT_MS;
    while (!core->is_up && link_state(core->link) != LINK_CLOSED && now_ms < until_ms &&
           __atomic_load_n(&core->wakeup.stops, __ATOMIC_ACQUIRE) == stops) {
        uint64_t look_ms = now_ms + STOP_LOOK_MS;

        core_wait(core, &core->is_up, look_ms < until_ms ? look_ms : until_ms);
        now_ms = clock_ms();
    }
    return core->is_up ? 0 : session_missing(core, reterr);
}

static bool is_not_request(const Record *record, const void *ctx) {
    (void)ctx;
    return record->op != OP_CALL && record->op != OP_END && !(record->id & STREAM_ID);
}

/* Drops the deferred requests of the ended session: no caller waits for their answers. */
static void deferred_forget_session(Core *core) {
    records_keep(&core->deferred.records, is_not_request, NULL);
    id_map_deinit(&core->deferred.cancelled);
}

static void on_up(const Message *welcome, void *ctx) {
    Core *core = ctx;

    core->is_up = true;
    core->session++;
    memcpy(core->broker, welcome->welcome.broker.data, WIRE_TOKEN);
    /* Do this also while the client is being closed: ferry_close() waits for unsent messages. */
    for (size_t i = 0; i < core->n_parts; i++)
        if (core->parts[i]->up)
            core->parts[i]->up(core, welcome);
    if (!core->closed)
        event_note(core, FERRY_EVENT_UP, NULL);
}

/* Ends the Awaits that last only as long as a session. left: of the session that the client has
 * left for another broker; otherwise of the current session. */
static void awaits_down(Core *core, bool left) {
    size_t pos = 0;
    Await *await;

    while ((await = id_map_next(&core->awaits, &pos)))
        if (await->session_only && core_is_left(core, await->id) == left)
            await->fn(core, await, NULL, NULL);
}

static void on_down(bool was_up, const ferry_error *error, void *ctx) {
    Core *core = ctx;

    core->is_up = false;
    if (was_up) {
        core->down_since_ms = clock_ms();
        deferred_forget_session(core);
        records_keep(&core->unsent, outlives_session, NULL);
        awaits_down(core, false);
    }
    event_note(core,
               link_state(core->link) == LINK_CLOSED ? FERRY_EVENT_CLOSED
               : was_up                              ? FERRY_EVENT_DOWN
                                                     : FERRY_EVENT_RETRY,
               error);
    for (size_t i = core->n_parts; i-- > 0;)
        if (core->parts[i]->down)
            core->parts[i]->down(core, error, was_up);
}

static void on_leave(void *ctx) {
    Core *core = ctx;

    core->is_up = false;
    core->down_since_ms = clock_ms();
    core->left_session = core->session;
    core->left_below = *core->next_id;
    link_leave_below(core->link, *core->next_id);
}

static void on_left(const ferry_error *error, void *ctx) {
    Core *core = ctx;

    core->left_session = 0;
    awaits_down(core, true);
    for (size_t i = core->n_parts; i-- > 0;)
        if (core->parts[i]->left)
            core->parts[i]->left(core, error);
    core->left_below = 0;
}

static const char *on_welcome(const Message *welcome, Span cluster, void *ctx) {
    const char *problem = NULL;
    Core *core = ctx;

    for (size_t i = 0; i < core->n_parts && !problem; i++)
        if (core->parts[i]->refuses)
            problem = core->parts[i]->refuses(core, welcome, cluster);
    return problem;
}

static void on_hello(Message *hello, Buffer *buffer, void *ctx) {
    Core *core = ctx;

    for (size_t i = 0; i < core->n_parts; i++)
        if (core->parts[i]->hello)
            core->parts[i]->hello(core, hello, buffer);
}

const LinkHandlers session_handlers = {
    .on_message = on_message,
    .on_up = on_up,
    .on_down = on_down,
    .on_leave = on_leave,
    .on_left = on_left,
    .on_hello = on_hello,
    .on_welcome = on_welcome,
};

void session_deinit(Core *core) {
    records_clear(&core->deferred.records);
    records_clear(&core->unsent);
    id_map_deinit(&core->deferred.cancelled);
}
