/* SPDX-License-Identifier: Apache-2.0 */

/* ferry.Broker: the table of its methods, calls of them, and the methods for the broker as a whole.
 * See admin.h; ferry-broker.thrift declares arguments and results. */

#include "broker/admin/admin-private.h"
#include "broker/admin/caches.h"

#include <assert.h>

#include "base/clock.h"
#include "base/log.h"
#include "broker/queues/queues.h"
#include "broker/services/services.h"
#include "broker/sessions/hello.h"
#include "broker/sessions/user.h"
#include "broker/taps/tap.h"
#include "broker/topics/topics.h"
#include "ferry-broker.h"
#include "rpc/schema/codec/codec.h"
#include "rpc/wire/name.h"

enum { BODY_MAX = 64 * 1024 }; /* the largest argument is the body of a schedule: 32 KiB */

static int stats(const Ask *ask, const void *p, Buffer *to, ferry_error *reterr) {
    const char *degraded = queues_degraded(ask->broker->queues);
    const Stats *s = &ask->broker->stats;
    const struct {
        const char *name;
        uint64_t value;
    } told[] = {
        {"uptime_ms", ask->broker->now_ms - ask->broker->started_ms},
        {"epoch", ask->broker->epoch},
        {"sessions", ask->broker->sessions.n},
        {"connections", hub_n_connections(ask->broker->hub)},
        {"calls_open", services_n_calls(ask->broker->services)},
        {"stored_bytes", broker_stored(ask->broker)},
        {"calls", s->calls},
        {"answers", s->answers},
        {"errors", s->errors},
        {"late_answers", s->late_answers},
        {"published", s->published},
        {"delivered", s->delivered},
        {"dropped", s->dropped},
        {"pushed", s->pushed},
        {"acked", s->acked},
        {"redelivered", s->redelivered},
        {"dead", s->dead},
        {"faults", s->faults},
        {"turns", s->turns},
        {"memory_max", ask->broker->budget.max},
        {"memory_used", budget_used(&ask->broker->budget)},
    };

    (void)p;
    (void)reterr;
    write_map(to, sizeof(told) / sizeof(*told) + N_BUDGET_KINDS + 3 + (degraded != NULL));
    for (size_t i = 0; i < sizeof(told) / sizeof(*told); i++)
        write_pair(to, told[i].name, told[i].value);
    for (BudgetKind kind = 0; kind < N_BUDGET_KINDS; kind++) {
        char name[48];

        snprintf(name, sizeof(name), "memory_%s", budget_kind_name(kind));
        write_pair(to, name, ask->broker->budget.bytes[kind]);
    }
    write_text(to, "durability");
    write_text(to, queues_default_durability(ask->broker->queues));
    write_text(to, "latencies");
    services_write_latencies(ask->broker->services, to);
    write_text(to, "draining");
    write_bool(to, ask->broker->draining);
    if (degraded) {
        write_text(to, "degraded");
        write_text(to, degraded);
    }
    return 0;
}

/* ---- taps ---- */

/* The user must have the right for each pattern of the tap; a tap without patterns needs it for all
 * names. */
static int check_tap(const Ask *ask, const TapFilter *filter, ferry_error *reterr) {
    size_t n = 0;

    for (TapKind kind = 0; kind < TAP_KINDS; kind++)
        for (size_t i = 0; i < filter->names[kind].n; i++, n++) {
            Span pattern = span_text(filter->names[kind].patterns[i]);

            if (!session_may(ask->session, ACTION_WATCH, pattern))
                return session_denied(ask->session, "watch", pattern, reterr);
        }
    if (n == 0 && !session_may(ask->session, ACTION_WATCH, admin_all_names()))
        return session_denied(ask->session, "watch", admin_all_names(), reterr);
    return 0;
}

static int tap(const Ask *ask, const void *p, Buffer *to, ferry_error *reterr) {
    const ferry_broker_tap_args *args = p;
    TapFilter filter = {
        .names = {[TAP_SERVICES] = {args->services->v, args->services->n},
                  [TAP_TOPICS] = {args->topics->v, args->topics->n},
                  [TAP_QUEUES] = {args->queues->v, args->queues->n}},
        .session = (uint64_t)args->session,
        .max_body = (uint64_t)args->max_body,
    };
    int r;

    (void)to;
    if (!ask->streams || ask->id == 0)
        return error_set(reterr, "ferry.InvalidArgument", "tap is a stream: call it as one");
    if (args->session < 0 || args->max_body < 0)
        return error_set(reterr, "ferry.InvalidArgument",
                         "args: session and max_body cannot be negative");
    r = check_tap(ask, &filter, reterr);
    if (r == 0)
        r = taps_open(ask->broker->taps, ask->session, ask->id, &filter, reterr);
    return r < 0 ? r : ANSWERED_LATER;
}

static int drain(const Ask *ask, const void *p, Buffer *to, ferry_error *reterr) {
    (void)p;
    (void)reterr;
    log_info("draining, because ferry.Broker.drain was called");
    sessions_drain(ask->broker);
    write_nil(to);
    return 0;
}

static int reload(const Ask *ask, const void *p, Buffer *to, ferry_error *reterr) {
    (void)p;
    write_nil(to);
    if (!ask->broker->reload)
        return error_set_code(reterr, -EOPNOTSUPP, NULL);
    return ask->broker->reload(ask->broker, reterr);
}

/* ---- all methods ---- */

/* The right that a method needs. */
typedef enum Need {
    NEED_NOT_SET,
    NEED_NOTHING,          /* no right; or the method checks each name itself */
    NEED_SIGHT_OF_SERVICE, /* to see the service in its first argument */
    NEED_SIGHT_OF_QUEUE,   /* to see the queue in its first argument */
    NEED_ACTION_ON_QUEUE,  /* an action on the queue in its first argument */
    NEED_ACTION_ON_ALL,    /* an action on the pattern '>' */
} Need;

/* In the order of the interface file. */
static const struct {
    const char *name;
    MethodFn *run;
    Need need;
    Action action;
} methods[] = {
    {"services", method_services, NEED_NOTHING, 0},
    {"describe", method_describe, NEED_SIGHT_OF_SERVICE, 0},
    {"methods", method_methods, NEED_SIGHT_OF_SERVICE, 0},
    {"topics", method_topics, NEED_NOTHING, 0},
    {"queues", method_queues, NEED_NOTHING, 0},
    {"queue", method_queue, NEED_SIGHT_OF_QUEUE, 0},
    {"shards", method_shards, NEED_ACTION_ON_ALL, ACTION_WATCH},
    {"sessions", method_sessions, NEED_NOTHING, 0},
    {"stats", stats, NEED_ACTION_ON_ALL, ACTION_WATCH},
    {"peek", method_peek, NEED_ACTION_ON_QUEUE, ACTION_PEEK},
    {"purge", method_purge, NEED_ACTION_ON_QUEUE, ACTION_MANAGE},
    {"pause", method_pause, NEED_ACTION_ON_QUEUE, ACTION_MANAGE},
    {"resume", method_resume, NEED_ACTION_ON_QUEUE, ACTION_MANAGE},
    {"move", method_move, NEED_ACTION_ON_QUEUE, ACTION_MANAGE},
    {"bind", method_bind, NEED_ACTION_ON_QUEUE, ACTION_MANAGE},
    {"unbind", method_unbind, NEED_ACTION_ON_QUEUE, ACTION_MANAGE},
    {"configure", method_configure, NEED_ACTION_ON_QUEUE, ACTION_MANAGE},
    {"add_schedule", method_add_schedule, NEED_ACTION_ON_QUEUE, ACTION_MANAGE},
    {"schedules", method_schedules, NEED_NOTHING, 0},
    {"remove_schedule", method_remove_schedule, NEED_NOTHING, 0},
    {"job", method_job, NEED_NOTHING, 0},
    {"cancel", method_cancel, NEED_NOTHING, 0},
    {"run_now", method_run_now, NEED_NOTHING, 0},
    {"move_job", method_move_job, NEED_NOTHING, 0},
    {"drain", drain, NEED_ACTION_ON_ALL, ACTION_ADMIN},
    {"tap", tap, NEED_NOTHING, 0},
    {"kick", method_kick, NEED_NOTHING, 0},
    {"reload", reload, NEED_ACTION_ON_ALL, ACTION_ADMIN},
    {"check", method_check, NEED_NOTHING, 0},
    {"users", method_users, NEED_NOTHING, 0},
    {"caches", method_caches, NEED_NOTHING, 0},
    {"report_caches", method_report_caches, NEED_NOTHING, 0},
};

enum { N_METHODS = sizeof(methods) / sizeof(*methods) };

const char *admin_method(size_t i) {
    return i < N_METHODS ? methods[i].name : NULL;
}

bool admin_has_need(size_t i) {
    return methods[i].need != NEED_NOT_SET;
}

/* 0, or -EACCES. If the right depends on a name, the name is the first argument. */
static int check_need(const Ask *ask, size_t i, const void *args, ferry_error *reterr) {
    const char *action = action_name(methods[i].action);
    Session *session = ask->session;
    Span name = admin_all_names();

    if (methods[i].need == NEED_SIGHT_OF_SERVICE || methods[i].need == NEED_SIGHT_OF_QUEUE ||
        methods[i].need == NEED_ACTION_ON_QUEUE)
        name = span_text(*(const char *const *)args);
    switch (methods[i].need) {
    case NEED_NOTHING:
        return 0;
    case NEED_SIGHT_OF_SERVICE:
        if (name_is_reserved(name.data, name.len) || session_sees(session, SIGHT_OF_SERVICE, name))
            return 0;
        return session_denied(session, "see", name, reterr);
    case NEED_SIGHT_OF_QUEUE:
        return session_sees(session, SIGHT_OF_QUEUE, name)
                   ? 0
                   : session_denied(session, "see", name, reterr);
    case NEED_ACTION_ON_QUEUE:
    case NEED_ACTION_ON_ALL:
        return session_may(session, methods[i].action, name)
                   ? 0
                   : session_denied(session, action, name, reterr);
    case NEED_NOT_SET:
        break;
    }
    return session->user ? session_denied(session, "call", span_text(methods[i].name), reterr) : 0;
}

/* True: the method concerns a queue that is at another broker. The session has got the error. */
static bool is_elsewhere(const Ask *ask, size_t i, const void *args) {
    return (methods[i].need == NEED_SIGHT_OF_QUEUE || methods[i].need == NEED_ACTION_ON_QUEUE) &&
           admin_is_away(ask, span_text(*(const char *const *)args));
}

static int run(const Ask *ask, const Message *message, size_t i, Buffer *to, ferry_error *reterr) {
    const ferry_method *declared = NULL;
    Span body = message->body.len > 0 ? message->body : span_text("\x90");
    void *args = NULL;
    int r;

    for (uint32_t j = 0; j < ferry_service_ferry_broker.n_methods && !declared; j++)
        if (span_is(message->call.method, ferry_service_ferry_broker.methods[j].name))
            declared = &ferry_service_ferry_broker.methods[j];
    assert(declared);
    if (body.len > BODY_MAX)
        return error_set(reterr, "ferry.TooBig", "the arguments have more than %d bytes", BODY_MAX);
    r = schema_unpack_block(declared->args, body, "args", &args, reterr);
    if (r == 0)
        r = check_need(ask, i, args, reterr);
    if (r == 0)
        r = is_elsewhere(ask, i, args) ? ANSWERED_LATER : methods[i].run(ask, args, to, reterr);
    ferry_free(args);
    ask->broker->turn.work += (unsigned)(to->len / 32);
    if (r == 0 && to->failed)
        r = -ENOMEM;
    return r;
}

static void answer(Broker *broker, Session *session, const Message *message, size_t i) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    CLEANUP(buffer_deinit) Buffer result = {0};
    Method *method = methods_get(services_own(broker->services), message->call.method);
    uint64_t started_us = clock_us();
    int r;

    if (method)
        method->calls++;
    r = run(&(Ask){broker, session, message->id, message->call.flags & CALL_STREAM_OUT}, message, i,
            &result, &error);
    if (r == 0 && result.len > WIRE_INLINE_MAX && !session_may_get(session, result.len))
        r = error_set(&error, "ferry.Overloaded",
                      "too many bytes wait for the session (max_session_bytes, or its share of "
                      "max_memory): no room for the answer");
    if (r < 0 && !error.type)
        error_set_code(&error, r, NULL);
    method_ended(method, NULL, clock_us() - started_us,
                 r < 0 ? span_text(error.type) : (Span){NULL, 0});
    if (r < 0)
        session_error(session, message->id, error.type, "%s", error.message);
    else if (r != ANSWERED_LATER && message->id != 0)
        session_send(
            session, LANE_CALLS,
            &(Message){.op = OP_OK, .id = message->id, .body = span_of(result.data, result.len)},
            NULL);
}

bool admin_is_costly(const Broker *broker, const Message *message) {
    enum { MANY = 1000 };

    /* The result may have up to 4 MiB of jobs. */
    if (span_is(message->call.method, "peek"))
        return true;
    return broker->sessions.n + queues_count(broker->queues) + topics_count(broker->topics) +
               services_count(broker->services) + admin_caches(broker)->n >
           MANY;
}

void admin_call(Broker *broker, Session *session, const Message *message) {
    if (!span_is(message->name, ferry_service_ferry_broker.name)) {
        session_error(session, message->id, "ferry.NoSuchService", "no server offers '%s'",
                      shown(message->name));
        return;
    }
    if (message->call.instance.len > 0 && !span_is(message->call.instance, ADMIN_INSTANCE)) {
        session_error(session, message->id, "ferry.NoSuchService", "'%s' has no instance '%s'",
                      shown(message->name), shown(message->call.instance));
        return;
    }
    for (size_t i = 0; i < N_METHODS; i++)
        if (span_is(message->call.method, methods[i].name)) {
            answer(broker, session, message, i);
            return;
        }
    session_error(session, message->id, "ferry.NoSuchMethod", "ferry.Broker has no method '%s'",
                  shown(message->call.method));
}
