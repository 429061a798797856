/* SPDX-License-Identifier: Apache-2.0 */

/* ferry.Broker: its methods. See admin.h; ferry-broker.thrift declares arguments and results. */

#include "broker/admin/admin-private.h"

#include <assert.h>
#include <utlist.h>

#include "base/clock.h"
#include "base/log.h"
#include "broker/queues/queues.h"
#include "broker/services/services.h"
#include "broker/taps/tap.h"
#include "broker/topics/topics.h"
#include "ferry-broker.h"
#include "rpc/schema/codec/codec.h"
#include "rpc/schema/description/description.h"

/* All arguments are names and numbers. */
enum { BODY_MAX = 64 * 1024 };

/* The name of its only instance. */
#define INSTANCE "broker"

static void write_session(Buffer *to, const Session *session, uint64_t now_ms) {
    write_map(to, 12);
    write_pair(to, "session", session->number);
    write_text(to, "name");
    write_text(to, session->name);
    write_pair(to, "age_ms", now_ms - session->since_ms);
    write_pair(to, "serves", services_of(session));
    write_pair(to, "subscriptions", session->client->n_subscriptions);
    write_pair(to, "pulls", session->pulls.n);
    write_pair(to, "calls", session->calls.n);
    write_pair(to, "requests", session->requests.n);
    write_pair(to, "waiting", session_waiting(session));
    write_pair(to, "in", session->n_in);
    write_pair(to, "out", session->n_out);
    write_pair(to, "dropped", session->n_dropped);
}

/* The call: the session gets the answer to id. */
typedef struct Ask {
    Broker *broker;
    Session *session;
    uint64_t id;
    bool streams; /* the caller reads a stream of items */
} Ask;

static int list_sessions(const Ask *ask, const void *p, Buffer *to, ferry_error *reterr) {
    Session *session;

    (void)p;
    (void)reterr;
    write_array(to, ask->broker->n_sessions);
    DL_FOREACH(ask->broker->sessions, session) {
        write_session(to, session, ask->broker->now_ms);
    }
    return 0;
}

static int list_services(const Ask *ask, const void *p, Buffer *to, ferry_error *reterr) {
    (void)p;
    (void)reterr;
    services_list(ask->broker->services, to);
    return 0;
}

static int list_topics(const Ask *ask, const void *p, Buffer *to, ferry_error *reterr) {
    (void)p;
    (void)reterr;
    topics_describe(ask->broker->topics, to);
    return 0;
}

static int list_queues(const Ask *ask, const void *p, Buffer *to, ferry_error *reterr) {
    int r = admin_list_queues(ask->broker->admin, ask->session, ask->id, to);

    (void)p;
    if (r == -EBUSY)
        return error_set(reterr, "ferry.Overloaded",
                         "too many lists of queues are under way: try again later");
    return r;
}

static int stats(const Ask *ask, const void *p, Buffer *to, ferry_error *reterr) {
    const char *degraded = queues_degraded(ask->broker->queues);
    const Stats *s = &ask->broker->stats;
    const struct {
        const char *name;
        uint64_t value;
    } told[] = {
        {"uptime_ms", ask->broker->now_ms - ask->broker->started_ms},
        {"epoch", ask->broker->epoch},
        {"sessions", ask->broker->n_sessions},
        {"connections", hub_n_connections(ask->broker->hub)},
        {"calls_open", services_n_calls(ask->broker->services)},
        {"stored_bytes", ask->broker->stored_bytes},
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
    };

    (void)p;
    (void)reterr;
    write_map(to, sizeof(told) / sizeof(*told) + (degraded != NULL));
    for (size_t i = 0; i < sizeof(told) / sizeof(*told); i++)
        write_pair(to, told[i].name, told[i].value);
    if (degraded) {
        write_text(to, "degraded");
        write_text(to, degraded);
    }
    return 0;
}

/* ---- one service ---- */

static int no_service(int r, const char *name, ferry_error *reterr) {
    if (r != -ENOENT)
        return r;
    return error_set(reterr, "ferry.NotFound", "there is no service '%s'", shown(span_text(name)));
}

static int describe_myself(Buffer *to) {
    CLEANUP(buffer_deinit) Buffer description = {0};
    int r = description_write(&ferry_service_ferry_broker, &description);

    if (r < 0)
        return r;
    write_map(to, 3);
    write_text(to, "name");
    write_text(to, ferry_service_ferry_broker.name);
    write_text(to, "instances");
    write_array(to, 1);
    write_map(to, 5);
    write_text(to, "instance");
    write_text(to, INSTANCE);
    write_pair(to, "session", 0);
    write_text(to, "client");
    write_text(to, "ferry broker");
    write_pair(to, "slots", 1);
    write_pair(to, "busy", 0);
    write_text(to, "description");
    write_bin(to, description.data, description.len);
    return 0;
}

static int describe(const Ask *ask, const void *p, Buffer *to, ferry_error *reterr) {
    const ferry_broker_describe_args *args = p;

    if (strcmp(args->service, ferry_service_ferry_broker.name) == 0)
        return describe_myself(to);
    return no_service(services_describe(ask->broker->services, span_text(args->service), to),
                      args->service, reterr);
}

static int list_methods(const Ask *ask, const void *p, Buffer *to, ferry_error *reterr) {
    const ferry_broker_methods_args *args = p;

    if (strcmp(args->service, ferry_service_ferry_broker.name) == 0) {
        methods_write(services_own(ask->broker->services), to);
        return 0;
    }
    return no_service(services_stats(ask->broker->services, span_text(args->service), to),
                      args->service, reterr);
}

/* ---- one queue ---- */

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

static int show_queue(const Ask *ask, const void *p, Buffer *to, ferry_error *reterr) {
    const ferry_broker_queue_args *args = p;

    return no_queue(queues_show(ask->broker->queues, span_text(args->queue), to), args->queue,
                    reterr);
}

static int peek(const Ask *ask, const void *p, Buffer *to, ferry_error *reterr) {
    const ferry_broker_peek_args *args = p;
    int r = check_limit(args->limit, reterr);

    if (r == 0)
        r = queues_peek(ask->broker->queues, span_text(args->queue), (uint64_t)args->limit, to);
    return no_queue(r, args->queue, reterr);
}

static int purge(const Ask *ask, const void *p, Buffer *to, ferry_error *reterr) {
    const ferry_broker_purge_args *args = p;
    uint64_t n = 0;
    int r = queues_purge(ask->broker->queues, span_text(args->queue), ask->session, ask->id, &n);

    write_uint(to, n);
    return too_busy(no_queue(r, args->queue, reterr), reterr);
}

static int pause_queue(const Ask *ask, const void *p, Buffer *to, ferry_error *reterr) {
    const ferry_broker_pause_args *args = p;

    write_nil(to);
    return no_queue(queues_pause(ask->broker->queues, span_text(args->queue), true), args->queue,
                    reterr);
}

static int resume_queue(const Ask *ask, const void *p, Buffer *to, ferry_error *reterr) {
    const ferry_broker_resume_args *args = p;

    write_nil(to);
    return no_queue(queues_pause(ask->broker->queues, span_text(args->queue), false), args->queue,
                    reterr);
}

static int move(const Ask *ask, const void *p, Buffer *to, ferry_error *reterr) {
    const ferry_broker_move_args *args = p;
    uint64_t n = 0;
    int r = check_limit(args->limit, reterr);

    if (r < 0)
        return r;
    r = queues_move(ask->broker->queues, span_text(args->from), span_text(args->to),
                    (uint64_t)args->limit, ask->session, ask->id, &n);
    write_uint(to, n);
    if (r == -EINVAL)
        return error_set(reterr, "ferry.InvalidArgument",
                         "args.to: '%s' is the same queue, or not a valid name",
                         shown(span_text(args->to)));
    if (r == -ENOSPC)
        return error_set(reterr, "ferry.Full", "the queue '%s' has no room",
                         shown(span_text(args->to)));
    return too_busy(no_queue(r, args->from, reterr), reterr);
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
        return error_set(reterr, "ferry.InvalidArgument", "call it as a stream from the broker");
    if (args->session < 0 || args->max_body < 0)
        return error_set(reterr, "ferry.InvalidArgument",
                         "args: session and max_body cannot be negative");
    r = taps_open(ask->broker->taps, ask->session, ask->id, &filter, reterr);
    return r < 0 ? r : ANSWERED_LATER;
}

static int drain(const Ask *ask, const void *p, Buffer *to, ferry_error *reterr) {
    (void)p;
    (void)reterr;
    log_info("draining, as ferry.Broker.drain was called");
    ask->broker->draining = true;
    write_nil(to);
    return 0;
}

/* ---- all methods ---- */

/* Writes the result, or returns ANSWERED_LATER, or a negative errno. *reterr may have a more
 * precise error. */
typedef int (*MethodFn)(const Ask *ask, const void *args, Buffer *to, ferry_error *reterr);

/* In the order of the interface file. */
static const struct {
    const char *name;
    MethodFn run;
} methods[] = {
    {"services", list_services},
    {"describe", describe},
    {"methods", list_methods},
    {"topics", list_topics},
    {"queues", list_queues},
    {"queue", show_queue},
    {"sessions", list_sessions},
    {"stats", stats},
    {"peek", peek},
    {"purge", purge},
    {"pause", pause_queue},
    {"resume", resume_queue},
    {"move", move},
    {"drain", drain},
    {"tap", tap},
};

enum { N_METHODS = sizeof(methods) / sizeof(*methods) };

const char *manage_method(size_t i) {
    return i < N_METHODS ? methods[i].name : NULL;
}

static int run(const Ask *ask, const Message *message, MethodFn fn, Buffer *to,
               ferry_error *reterr) {
    const ferry_method *declared = NULL;
    Span body = message->body.len > 0 ? message->body : span_text("\x90");
    void *args = NULL;
    int r;

    for (uint32_t i = 0; i < ferry_service_ferry_broker.n_methods && !declared; i++)
        if (span_is(message->call.method, ferry_service_ferry_broker.methods[i].name))
            declared = &ferry_service_ferry_broker.methods[i];
    assert(declared);
    if (body.len > BODY_MAX)
        return error_set(reterr, "ferry.TooBig", "args: %d bytes at most", BODY_MAX);
    r = schema_unpack_block(declared->args, body, "args", &args, reterr);
    if (r == 0)
        r = fn(ask, args, to, reterr);
    ferry_free(args);
    ask->broker->work += (unsigned)(to->len / 32);
    if (r == 0 && to->failed)
        r = -ENOMEM;
    return r;
}

static void answer(Broker *broker, Session *session, const Message *message, MethodFn fn) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    CLEANUP(buffer_deinit) Buffer result = {0};
    Method *method = methods_get(services_own(broker->services), message->call.method);
    uint64_t started_us = clock_us();
    int r;

    if (method)
        method->calls++;
    r = run(&(Ask){broker, session, message->id, message->call.flags & CALL_STREAM_OUT}, message,
            fn, &result, &error);
    if (r < 0 && !error.type)
        error_set_code(&error, r, NULL);
    method_ended(method, clock_us() - started_us, r < 0 ? span_text(error.type) : (Span){NULL, 0});
    if (r < 0)
        session_error(session, message->id, error.type, "%s", error.message);
    else if (r != ANSWERED_LATER && message->id != 0)
        session_send(
            session, LANE_CALLS,
            &(Message){.op = OP_OK, .id = message->id, .body = span_of(result.data, result.len)},
            NULL);
}

bool manage_is_costly(const Broker *broker) {
    enum { MANY = 1000 };

    return broker->n_sessions + queues_count(broker->queues) + topics_count(broker->topics) +
               services_count(broker->services) >
           MANY;
}

void manage_call(Broker *broker, Session *session, const Message *message) {
    if (!span_is(message->name, ferry_service_ferry_broker.name)) {
        session_error(session, message->id, "ferry.NoSuchService", "no server offers '%s'",
                      shown(message->name));
        return;
    }
    if (message->call.instance.len > 0 && !span_is(message->call.instance, INSTANCE)) {
        session_error(session, message->id, "ferry.NoSuchService", "'%s' has no instance '%s'",
                      shown(message->name), shown(message->call.instance));
        return;
    }
    for (size_t i = 0; i < N_METHODS; i++)
        if (span_is(message->call.method, methods[i].name)) {
            answer(broker, session, message, methods[i].run);
            return;
        }
    session_error(session, message->id, "ferry.NoSuchMethod", "ferry.Broker has no method '%s'",
                  shown(message->call.method));
}
