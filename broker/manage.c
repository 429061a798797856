/* ferry.Broker. See manage.h; the methods: docs/PROTOCOL.md, section 12. */

#include "broker/manage.h"

#include <inttypes.h>
#include <utlist.h>

#include "base/log.h"
#include "broker/queue.h"
#include "broker/service.h"
#include "broker/topic.h"

/* The arguments of one call, read as they are asked for. */
typedef struct Args {
    Reader reader;
    uint32_t left;
} Args;

static Span arg_str(Args *args) {
    if (args->left == 0) {
        reader_fail(&args->reader, "an argument is missing");
        return (Span){NULL, 0};
    }
    args->left--;
    return reader_str(&args->reader);
}

/* Optional: 0 when it is not there. */
static uint64_t arg_uint(Args *args) {
    if (args->left == 0)
        return 0;
    args->left--;
    return reader_uint(&args->reader);
}

static void write_pair(Buffer *to, const char *key, uint64_t value) {
    write_text(to, key);
    write_uint(to, value);
}

static void write_session(Buffer *to, const Session *session, uint64_t now_ms) {
    write_map(to, 11);
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
}

static int list_sessions(Broker *broker, Args *args, Buffer *to) {
    Session *session;

    (void)args;
    write_array(to, broker->n_sessions);
    DL_FOREACH(broker->sessions, session) {
        write_session(to, session, broker->now_ms);
    }
    return 0;
}

static int list_services(Broker *broker, Args *args, Buffer *to) {
    (void)args;
    services_list(broker->services, to);
    return 0;
}

static int list_topics(Broker *broker, Args *args, Buffer *to) {
    (void)args;
    topics_describe(broker->topics, to);
    return 0;
}

static int list_queues(Broker *broker, Args *args, Buffer *to) {
    (void)args;
    queues_describe(broker->queues, to);
    return 0;
}

static int describe(Broker *broker, Args *args, Buffer *to) {
    Span name = arg_str(args);

    return args->reader.problem ? 0 : services_describe(broker->services, name, to);
}

static int stats(Broker *broker, Args *args, Buffer *to) {
    const Stats *s = &broker->stats;
    const struct {
        const char *name;
        uint64_t value;
    } told[] = {
        {"uptime_ms", broker->now_ms - broker->started_ms},
        {"epoch", broker->epoch},
        {"sessions", broker->n_sessions},
        {"connections", hub_n_connections(broker->hub)},
        {"calls_open", services_n_calls(broker->services)},
        {"stored_bytes", broker->stored_bytes},
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
    };

    if (args->left > 0) {
        Span name = arg_str(args);

        return args->reader.problem ? 0 : services_stats(broker->services, name, to);
    }
    write_map(to, sizeof(told) / sizeof(*told));
    for (size_t i = 0; i < sizeof(told) / sizeof(*told); i++)
        write_pair(to, told[i].name, told[i].value);
    return 0;
}

static int show_queue(Broker *broker, Args *args, Buffer *to) {
    Span name = arg_str(args);

    return args->reader.problem ? 0 : queues_show(broker->queues, name, to);
}

static int peek(Broker *broker, Args *args, Buffer *to) {
    Span name = arg_str(args);
    uint64_t limit = arg_uint(args);

    return args->reader.problem ? 0 : queues_peek(broker->queues, name, limit ? limit : 10, to);
}

static int purge(Broker *broker, Args *args, Buffer *to) {
    Span name = arg_str(args);
    uint64_t n = 0;
    int r = args->reader.problem ? 0 : queues_purge(broker->queues, name, &n);

    write_uint(to, n);
    return r;
}

static int set_paused(Broker *broker, Args *args, Buffer *to, bool paused) {
    Span name = arg_str(args);
    int r = args->reader.problem ? 0 : queues_pause(broker->queues, name, paused);

    write_nil(to);
    return r;
}

static int pause_queue(Broker *broker, Args *args, Buffer *to) {
    return set_paused(broker, args, to, true);
}

static int resume_queue(Broker *broker, Args *args, Buffer *to) {
    return set_paused(broker, args, to, false);
}

static int move(Broker *broker, Args *args, Buffer *to) {
    Span from = arg_str(args), into = arg_str(args);
    uint64_t limit = arg_uint(args), n = 0;
    int r = args->reader.problem ? 0 : queues_move(broker->queues, from, into, limit, &n);

    write_uint(to, n);
    return r;
}

static int drain(Broker *broker, Args *args, Buffer *to) {
    (void)args;
    log_info("draining, as ferry.Broker.drain was called");
    broker->draining = true;
    write_nil(to);
    return 0;
}

/* Each writes its result, or returns a negative errno; what it read wrongly sticks in args. */
static const struct {
    const char *name;
    int (*run)(Broker *broker, Args *args, Buffer *to);
} methods[] = {
    {"services", list_services},
    {"describe", describe},
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
};

static void run(Broker *broker, Session *session, const Message *message,
                int (*method)(Broker *broker, Args *args, Buffer *to)) {
    CLEANUP(buffer_deinit) Buffer result = {0};
    Args args = {reader_of(message->body.data, message->body.len), 0};
    const char *problem;
    int r;

    args.left = message->body.len > 0 ? reader_array(&args.reader) : 0;
    problem = args.reader.problem;
    r = problem ? 0 : method(broker, &args, &result);
    problem = args.reader.problem;
    if (problem)
        session_error(session, message->id, "ferry.InvalidArgument", "ferry.Broker.%s: %s",
                      shown(message->method), problem);
    else if (r == -ENOENT)
        session_error(session, message->id, "ferry.NotFound", "ferry.Broker.%s: there is none",
                      shown(message->method));
    else if (r < 0)
        session_error(session, message->id, error_type_by_code(r)->name, "ferry.Broker.%s: %s",
                      shown(message->method), error_type_by_code(r)->text);
    else if (result.failed)
        session_error(session, message->id, "ferry.OutOfMemory", "the broker is out of memory");
    else if (message->id != 0)
        session_send(
            session, LANE_CALLS,
            &(Message){.op = OP_OK, .id = message->id, .body = span_of(result.data, result.len)},
            NULL);
}

void manage_call(Broker *broker, Session *session, const Message *message) {
    if (!span_is(message->name, "ferry.Broker")) {
        session_error(session, message->id, "ferry.NoSuchService", "no server offers '%s'",
                      shown(message->name));
        return;
    }
    for (size_t i = 0; i < sizeof(methods) / sizeof(*methods); i++)
        if (span_is(message->method, methods[i].name)) {
            run(broker, session, message, methods[i].run);
            return;
        }
    session_error(session, message->id, "ferry.NoSuchMethod", "ferry.Broker has no method '%s'",
                  shown(message->method));
}
