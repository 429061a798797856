/* The life of a call: from CALL to its one answer. See service.h. */

#include "broker/call.h"

#include <inttypes.h>
#include <stdlib.h>
#include <utlist.h>

#include "base/block.h"
#include "rpc/wire/name.h"

enum {
    TIMEOUT_MS = 30000,
    TIMEOUT_MAX_MS = 3600000,
    SERVERS_LOOKED_AT = 8, /* of many: enough for a good choice */
    AHEAD_MAX = 32,        /* calls sent to a service's only server beyond its slots */
    DEPTH_MAX = 64,        /* calls made on behalf of calls: services that call in a ring */
};

/* ---- making and ending ---- */

static Call *call_new(Services *services) {
    Call *call = services->free_calls;

    if (call)
        services->free_calls = call->next;
    else
        call = malloc(sizeof(*call));
    if (!call)
        return NULL;
    memset(call, 0, offsetof(Call, kept_body));
    call->kept_body.block = NULL;
    services->n_calls++;
    return call;
}

static void forget_kept(Call *call) {
    free(call->kept);
    ferry_free(call->kept_body.block);
    call->kept = NULL;
    call->kept_body.block = NULL;
}

static void line_remove(Call *call) {
    Service *service = call->service;

    if (!call->in_line)
        return;
    call->in_line = false;
    if (call->prev)
        call->prev->next = call->next;
    else
        service->line = call->next;
    if (call->next)
        call->next->prev = call->prev;
    else
        service->line_end = call->prev;
    service->n_waiting--;
}

static void line_append(Call *call, bool in_front) {
    Service *service = call->service;

    call->in_line = true;
    call->prev = call->next = NULL;
    if (in_front) {
        call->next = service->line;
        *(service->line ? &service->line->prev : &service->line_end) = call;
        service->line = call;
    } else {
        call->prev = service->line_end;
        *(service->line_end ? &service->line_end->next : &service->line) = call;
        service->line_end = call;
    }
    service->n_waiting++;
}

/* The caller needs no answer any more: it has one, or it is gone. */
static void forget_caller(Call *call) {
    if (call->caller) {
        id_map_take(&call->caller->calls, call->caller_id);
    }
    call->caller = NULL;
    timer_disarm(&call->service->services->broker->timers, &call->deadline);
    if (call->parent)
        DL_DELETE2(call->parent->children, call, child_prev, child_next);
    call->parent = NULL;
}

static void free_slot(Server *server) {
    server->busy--;
    if (!server->leaving && server->busy < server->slots)
        server->service->free_slots++;
}

/* Leaves its server, if it has one, and every list. */
static void call_free(Call *call) {
    Service *service = call->service;
    Services *services = service->services;
    Server *server = call->server;
    Call *child, *next;

    forget_caller(call);
    line_remove(call);
    DL_FOREACH_SAFE2(call->children, child, next, child_next) {
        DL_DELETE2(call->children, child, child_prev, child_next);
        child->parent = NULL;
    }
    forget_kept(call);
    while (call->early) {
        EarlyItem *item = call->early;

        call->early = item->next;
        ferry_free(item->body.block);
        free(item);
    }
    if (server) {
        id_map_take(&server->session->requests, call->request_id);
        free_slot(server);
    }
    call->next = services->free_calls;
    services->free_calls = call;
    services->n_calls--;
}

static void cancel_at_server(Call *call);

/* The caller gets its one answer: an error of our own. A server that works on it is told, and keeps
 * its slot until it has ended. */
void call_fail(Call *call, const char *type, const char *text) {
    Session *caller = call->caller;
    uint64_t id = call->caller_id;

    call->service->errors++;
    method_ended(call->method, call->service->services->broker->now_us - call->started_us,
                 span_text(type));
    if (call->server) {
        cancel_at_server(call);
        forget_caller(call);
    } else {
        call_free(call);
    }
    if (caller)
        session_error(caller, id, type, "%s", text);
}

/* Children first: they are cancelled with what they were made for. */
static void cancel_at_server(Call *call) {
    Call *child, *next;

    DL_FOREACH_SAFE2(call->children, child, next, child_next) {
        call_fail(child, "ferry.Cancelled", "the request that it was made for has ended");
    }
    /* In the lane of its CALL: one that came first would find nothing to cancel. */
    session_send(call->server->session, call_is_stream(call) ? LANE_BULK : LANE_CALLS,
                 &(Message){.op = OP_CANCEL, .id = call->request_id}, NULL);
}

static void on_deadline(Timer *timer, void *ctx) {
    Call *call = (Call *)((char *)timer - offsetof(Call, deadline));
    char text[160];

    (void)ctx;
    if (call->in_line)
        snprintf(text, sizeof(text), "all servers were busy for %u ms", call->timeout_ms);
    else
        snprintf(text, sizeof(text),
                 call_is_stream(call) ? "nothing came on the stream for %u ms"
                                      : "no answer within %u ms",
                 call->timeout_ms);
    call_fail(call, "ferry.DeadlineExceeded", text);
}

void call_arm_deadline(Call *call) {
    Broker *broker = call->service->services->broker;

    timer_arm(&broker->timers, &call->deadline, broker->now_ms + call->timeout_ms, on_deadline);
}

/* ---- to a server ---- */

static bool has_room(const Server *server) {
    return !server->leaving && server->busy < server->slots && !server->session->ending &&
           session_waiting(server->session) <= server->session->broker->limits.max_subscriber_bytes;
}

/* The server with the largest share of free slots; ties go round. NULL: none has room. */
static Server *choose(Service *service, Span instance) {
    Server *best = NULL, *server;
    unsigned looked_at = 0;

    if (instance.len > 0) {
        server = server_of_instance(service, instance);
        return server && has_room(server) ? server : NULL;
    }
    if (service->free_slots == 0)
        return NULL;
    DL_FOREACH(service->servers, server) {
        if (!has_room(server))
            continue;
        if (!best || (uint64_t)server->busy * best->slots < (uint64_t)best->busy * server->slots)
            best = server;
        if (++looked_at == SERVERS_LOOKED_AT)
            break;
    }
    /* To the end of the list: the next look begins with others. */
    if (best && service->n_servers > 1) {
        DL_DELETE(service->servers, best);
        DL_APPEND(service->servers, best);
    }
    return best;
}

static void occupy(Call *call, Server *server) {
    Session *session = server->session;

    call->server = server;
    server->busy++;
    if (server->busy <= server->slots)
        server->service->free_slots--;
    call->request_id = ++session->last_request_id;
    if (call_is_stream(call))
        call->request_id |= STREAM_ID;
}

/* Sends it to the server. request: what is to be passed on, with name to body or `passed` set. */
static void hand_over(Call *call, Server *server, const Message *request, const void *block) {
    Broker *broker = call->service->services->broker;
    uint64_t ends_ms = call->deadline.at_ms;
    Message out;

    message_pass(&out, request);
    occupy(call, server);
    if (id_map_put(&server->session->requests, call->request_id, call) < 0) {
        free_slot(server);
        call->server = NULL;
        call_fail(call, "ferry.OutOfMemory", "the broker is out of memory");
        return;
    }
    out.op = OP_CALL;
    out.id = call->request_id;
    out.flags = request->flags;
    out.timeout_ms = call_is_stream(call)           ? call->timeout_ms
                     : ends_ms > broker->now_ms + 1 ? ends_ms - broker->now_ms
                                                    : 1;
    out.parent = 0;
    out.text = call->caller ? span_text(call->caller->name) : (Span){NULL, 0};
    session_send(server->session, call_is_stream(call) ? LANE_BULK : LANE_CALLS, &out, block);
    if (call->early || call->ended)
        call_send_early(call);
}

/* Copies what hand_over() will need later. */
static int keep(Call *call, const Message *request, const void *block) {
    Buffer all = {0};

    if (call->kept)
        return 0;
    if (request->passed.data) {
        buffer_append(&all, request->passed.data, request->passed.len);
    } else {
        ferry_bytes body = {request->body.data, request->body.len, block};

        if (block_hold(body, &call->kept_body) < 0)
            return -ENOMEM;
    }
    /* The names apart from the fields: the line is searched by instance. */
    buffer_append(&all, request->name.data, request->name.len);
    buffer_append(&all, request->method.data, request->method.len);
    buffer_append(&all, request->instance.data, request->instance.len);
    buffer_append(&all, request->headers.data, request->headers.len);
    if (all.failed || !all.data) {
        buffer_deinit(&all);
        return -ENOMEM;
    }
    call->kept = all.data;
    call->kept_len = request->passed.data ? request->passed.len : 0;

    const uint8_t *at = all.data + call->kept_len;

    call->name = span_of(at, request->name.len);
    call->method_name = span_of(at += request->name.len, request->method.len);
    call->instance = span_of(at += request->method.len, request->instance.len);
    call->headers = span_of(at + request->instance.len, request->headers.len);
    return 0;
}

static void hand_over_kept(Call *call, Server *server) {
    Message request = {.flags = call->flags,
                       .name = call->name,
                       .method = call->method_name,
                       .instance = call->instance,
                       .headers = call->headers};
    const void *block = call->kept_body.block;

    if (block)
        request.body = span_of(call->kept_body.data, call->kept_body.len);
    else
        request.passed = span_of(call->kept, call->kept_len);
    line_remove(call);
    hand_over(call, server, &request, block);
}

static bool may_move(const Call *call) {
    return (call->flags & CALL_IDEMPOTENT) && !call_is_stream(call) &&
           call->moves < call->service->services->broker->limits.max_idempotent_moves;
}

static bool is_ancestor(const Call *call, const Server *server) {
    for (const Call *up = call->parent; up; up = up->parent)
        if (up->server == server)
            return true;
    return false;
}

/*
 * The only server of a service has no other to leave calls to: it gets some ahead of its slots, so
 * that a server of one slot does not wait for a round trip between any two calls. Not a call that
 * it waits for itself.
 */
static Server *choose_ahead(const Call *call, Span instance) {
    Server *server = call->service->servers;

    if (call->service->n_servers != 1 || instance.len > 0 || server->leaving ||
        server->busy >= server->slots + AHEAD_MAX || is_ancestor(call, server) ||
        session_waiting(server->session) > server->session->broker->limits.max_subscriber_bytes)
        return NULL;
    return server;
}

/* Would it wait for itself? True when every server that could take it is busy with nothing but its
 * own ancestors. */
static bool waits_for_itself(const Call *call, Span instance) {
    const Server *server;

    if (!call->parent)
        return false;
    DL_FOREACH(call->service->servers, server) {
        unsigned ancestors = 0;

        if (server->leaving || (instance.len > 0 && !server_is(server, instance)))
            continue;
        for (const Call *up = call->parent; up; up = up->parent)
            ancestors += up->server == server;
        if (ancestors < server->slots)
            return false;
    }
    return true;
}

static void mark_crowded(Service *service) {
    Services *services = service->services;

    if (service->in_crowded)
        return;
    service->in_crowded = true;
    service->next_crowded = services->crowded;
    services->crowded = service;
}

static void wait_in_line(Call *call, const Message *message, const void *block) {
    Service *service = call->service;
    const Limits *limits = &service->services->broker->limits;
    char text[160];

    if (waits_for_itself(call, message->instance)) {
        call_fail(call, "ferry.Overloaded",
                  "it would wait for itself: all its servers are busy with its own callers");
    } else if (service->n_waiting >= limits->max_waiting_calls) {
        snprintf(text, sizeof(text), "all %u servers are busy and %u calls wait: max_waiting_calls",
                 service->n_servers, service->n_waiting);
        call_fail(call, "ferry.Overloaded", text);
    } else if (keep(call, message, block) < 0) {
        call_fail(call, "ferry.OutOfMemory", "the broker is out of memory");
    } else {
        line_append(call, false);
        mark_crowded(service);
    }
}

void calls_serve_line(Service *service) {
    Call *call, *next;
    unsigned passed_over = 0;

    for (call = service->line; call; call = next) {
        Server *server = choose(service, call->instance);

        if (!server)
            server = choose_ahead(call, call->instance);
        next = call->next;
        if (server)
            hand_over_kept(call, server);
        else if (call->instance.len == 0 || ++passed_over == 64)
            break;
    }
}

void services_turn_end(Services *services) {
    Service *service, *again = NULL;

    while ((service = services->crowded)) {
        services->crowded = service->next_crowded;
        service->in_crowded = false;
        calls_serve_line(service);
        if (service->line) {
            service->in_crowded = true;
            service->next_crowded = again;
            again = service;
        } else {
            service_release(service);
        }
    }
    services->crowded = again;
}

/* ---- CALL ---- */

/* What is wrong with a CALL, answered; the service if nothing is. */
static Service *service_for(Services *services, Session *session, const Message *message) {
    const Limits *limits = &services->broker->limits;
    Service *service = service_find(services, message->name);
    bool served = service && service->servers;

    if (message->timeout_ms > TIMEOUT_MAX_MS)
        session_error(session, message->id, "ferry.InvalidArgument",
                      "timeout_ms is %" PRIu64 ": 1 to %d, or 0 for %d", message->timeout_ms,
                      TIMEOUT_MAX_MS, TIMEOUT_MS);
    else if (message->method.len == 0 || message->method.len > NAME_MAX_LEN)
        session_error(session, message->id, "ferry.InvalidArgument",
                      "the name of a method has 1 to 255 bytes");
    else if (services->broker->draining)
        session_error(session, message->id, "ferry.Draining", "the broker is shutting down");
    else if (session->calls.n >= limits->max_calls)
        session_error(session, message->id, "ferry.Overloaded",
                      "the session has %u unanswered calls: max_calls", limits->max_calls);
    else if (!served)
        session_error(session, message->id, "ferry.NoSuchService", "no server offers '%s'",
                      shown(message->name));
    else if (message->instance.len > 0 && !server_of_instance(service, message->instance))
        session_error(session, message->id, "ferry.NoSuchService", "'%s' has no instance '%s'",
                      shown(message->name), shown(message->instance));
    else
        return service;
    return NULL;
}

/* The request of this session on whose behalf it calls: bounds the new call. */
static void adopt(Call *call, Session *session, uint64_t parent_id) {
    Call *parent = parent_id ? id_map_get(&session->requests, parent_id) : NULL;
    uint64_t now_ms = session->broker->now_ms;

    if (!parent)
        return;
    call->parent = parent;
    call->depth = (uint8_t)(parent->depth + 1);
    DL_APPEND2(parent->children, call, child_prev, child_next);
    if (timer_armed(&parent->deadline) && !call_is_stream(parent) &&
        parent->deadline.at_ms < now_ms + call->timeout_ms)
        call->timeout_ms =
            parent->deadline.at_ms > now_ms ? (uint32_t)(parent->deadline.at_ms - now_ms) : 1;
}

void services_call(Services *services, Session *session, const Message *message,
                   const void *block) {
    Service *service = service_for(services, session, message);
    Server *server;
    Call *call;

    if (!service)
        return;
    call = call_new(services);
    if (!call) {
        session_error(session, message->id, "ferry.OutOfMemory", "the broker is out of memory");
        return;
    }
    call->service = service;
    call->flags = (uint32_t)message->flags;
    call->timeout_ms = message->timeout_ms ? (uint32_t)message->timeout_ms : TIMEOUT_MS;
    call->started_us = services->broker->now_us;
    call->credit_up = call->credit_down = WIRE_STREAM_CREDIT;
    if (message->id != 0) {
        int r = message->id & STREAM_ID ? -EEXIST : id_map_put(&session->calls, message->id, call);

        if (r < 0) {
            call_free(call);
            if (r == -EEXIST)
                session_fault(session, "CALL: the id %" PRIu64 " is in use, or not below 2^63",
                              message->id);
            else
                session_error(session, message->id, "ferry.OutOfMemory", "out of memory");
            return;
        }
        call->caller = session;
        call->caller_id = message->id;
    }
    call->method = service_method(service, message->method);
    if (call->method)
        call->method->calls++;
    service->calls++;
    services->broker->stats.calls++;
    adopt(call, session, message->parent);
    call_arm_deadline(call);
    if (call->depth > DEPTH_MAX) {
        call_fail(call, "ferry.Overloaded", "it is nested 64 calls deep: services call in a ring");
        return;
    }

    server =
        service->line && message->instance.len == 0 ? NULL : choose(service, message->instance);
    if (!server && !service->line)
        server = choose_ahead(call, message->instance);
    if (!server)
        wait_in_line(call, message, block);
    else if (may_move(call) && keep(call, message, block) < 0)
        call_fail(call, "ferry.OutOfMemory", "the broker is out of memory");
    else
        hand_over(call, server, message, block);
}

/* ---- answers ---- */

static Call *request_of(Session *session, uint64_t id) {
    return id_map_get(&session->requests, id);
}

static bool is_error(Span error) {
    Reader reader = reader_of(error.data, error.len);

    return error.len <= WIRE_ERROR_BYTES && reader_peek(&reader) == WIRE_MAP;
}

static Span error_type(Span error) {
    uint32_t left;
    Reader pairs = pairs_of(error, &left);
    Span key;

    while (pairs_next(&pairs, &left, &key)) {
        Span value = reader_value(&pairs);
        Reader inside = reader_of(value.data, value.len);

        if (span_is(key, "type"))
            return reader_str(&inside);
    }
    return span_text("?");
}

/* The call is over and its slot free: another may take it. */
static void finish(Call *call) {
    Service *service = call->service;
    Server *server = call->server;

    call_free(call);
    if (service->line)
        calls_serve_line(service);
    if (server && server->leaving && server->busy == 0) {
        server_free(server);
        service_release(service);
    }
}

void services_answer(Services *services, Session *session, const Message *message,
                     const void *block) {
    Broker *broker = services->broker;
    Call *call = request_of(session, message->id);
    Session *caller;
    bool failed = message->op == OP_ERROR;

    if (!call) {
        session->n_dropped++;
        broker->stats.late_answers++;
        return;
    }
    caller = call->caller;
    if (!caller) {
        session->n_dropped++;
        broker->stats.late_answers++;
        finish(call);
        return;
    }
    if (failed && !is_error(message->error)) {
        call_fail(call, "ferry.Internal", "the server's error was larger than 64 KiB, or no error");
        finish(call);
        return;
    }
    method_ended(call->method, broker->now_us - call->started_us,
                 failed ? error_type(message->error) : (Span){NULL, 0});
    if (failed) {
        call->service->errors++;
        broker->stats.errors++;
    }
    broker->stats.answers++;

    Message out;

    message_pass(&out, message);
    out.op = message->op;
    out.error = message->error;
    out.id = call->caller_id;
    out.seq = 0;
    /* Behind the items of its stream. */
    session_send(caller, call_is_stream(call) ? LANE_BULK : LANE_CALLS, &out, block);
    finish(call);
}

void services_refuse(Services *services, Session *session, const Message *message, const char *type,
                     const char *text) {
    bool answer = message->op == OP_OK;
    /* An answer, or an item from the server: for a call it works on. An item from the caller: for a
     * call it made. Nothing that names the one may end the other. */
    bool as_server = answer || (message->id & STREAM_ID) != 0;
    Call *call = id_map_get(as_server ? &session->requests : &session->calls, message->id);

    if (!call)
        return;
    call_fail(call, type, text);
    if (answer)
        finish(call);
    (void)services;
}

void services_cancel(Services *services, Session *session, const Message *message) {
    Call *call = id_map_get(&session->calls, message->id);

    (void)services;
    if (call)
        call_fail(call, "ferry.Cancelled", "the caller cancelled it");
}

/* ---- sessions that end ---- */

void calls_fail_line(Service *service, Span instance) {
    bool none_left = true;
    Server *server;
    Call *call, *next;

    DL_FOREACH(service->servers, server) {
        none_left &= server->leaving || server->session->ending;
    }
    for (call = service->line; call; call = next) {
        next = call->next;
        if (none_left || (call->instance.len > 0 && call->instance.len == instance.len &&
                          memcmp(call->instance.data, instance.data, instance.len) == 0))
            call_fail(call, "ferry.ServerLost", "its last server went away while it waited");
    }
}

/* One call loses its server: it moves, or fails. */
static void lose_server(Call *call) {
    Service *service = call->service;
    Server *server = call->server;

    id_map_take(&server->session->requests, call->request_id);
    free_slot(server);
    call->server = NULL;
    if (!call->caller) {
        call_free(call);
    } else if (may_move(call) && service->n_servers > 1 && call->instance.len == 0) {
        call->moves++;
        /* In front: it has waited longest already. */
        line_append(call, true);
        mark_crowded(service);
    } else {
        call_fail(call, "ferry.ServerLost", "the server went away during the call");
    }
}

/*
 * Ends the calls of one map, of one server or (NULL) all. Ending one may end others, whose removal
 * moves entries about: so it looks again until none is left.
 */
static void end_all(IdMap *map, const Server *server, void (*end)(Call *call)) {
    bool any = true;

    while (any && map->n > 0) {
        size_t pos = 0;
        Call *call;

        any = false;
        while ((call = id_map_next(map, &pos))) {
            if (server && call->server != server)
                continue;
            any = true;
            end(call);
            /* What followed it may have moved into its place. */
            pos--;
        }
    }
}

void calls_server_lost(Server *server) {
    end_all(&server->session->requests, server, lose_server);
}

static void lose_caller(Call *call) {
    if (call->server) {
        cancel_at_server(call);
        forget_caller(call);
    } else {
        call_free(call);
    }
}

void services_session_gone(Services *services, Session *session) {
    Server *server, *next_server;

    /* As a caller: what it asked for is cancelled. */
    end_all(&session->calls, NULL, lose_caller);
    /* As a server. */
    DL_FOREACH_SAFE2(session->servers, server, next_server, session_next) {
        Service *service = server->service;
        char instance[NAME_MAX_LEN + 1];

        snprintf(instance, sizeof(instance), "%s", server->instance);
        server->leaving = true;
        service->free_slots -= server->slots > server->busy ? server->slots - server->busy : 0;
        calls_server_lost(server);
        server_free(server);
        calls_fail_line(service, span_text(instance));
        calls_serve_line(service);
        service_release(service);
    }
    (void)services;
}
