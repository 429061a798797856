/* SPDX-License-Identifier: Apache-2.0 */

/* CALL, OK, ERROR and CANCEL; stream.c has ITEM, END and MORE. See services.h. */

#include <inttypes.h>
#include <utlist.h>

#include "broker/services/guards.h"
#include "broker/sessions/quota.h"
#include "broker/sessions/user.h"
#include "rpc/wire/name.h"

enum {
    TIMEOUT_MS = 30000,
    TIMEOUT_MAX_MS = 3600000,
    DEPTH_MAX = 64, /* nested calls: a longer chain means that services call each other in a ring */
};

/* ---- CALL ---- */

static void deny_method(Session *session, const Message *message) {
    char method[2 * NAME_MAX_LEN + 2];
    int len = snprintf(method, sizeof(method), "%.*s.%.*s", (int)message->name.len,
                       (const char *)message->name.data, (int)message->call.method.len,
                       (const char *)message->call.method.data);

    session_deny(session, message->id, ACTION_CALL, span_of(method, (size_t)len));
}

/* How long a call may wait if its service has no server. It may wait because no server has begun
 * it. 0: it may not wait. */
static uint64_t services_wait_ms(const Services *services, const Message *message) {
    const Broker *broker = services->broker;
    uint64_t age_ms = broker->now_ms - broker->started_ms;

    if (message->call.flags & CALL_WAIT)
        return UINT64_MAX;
    if (!(message->call.flags & CALL_IDEMPOTENT))
        return 0;
    /* After a restart of the broker, or of the service, the servers come back. */
    if (services_have_seen(services, message->name))
        return UINT64_MAX;
    return age_ms < SERVICE_HOLD_MS ? SERVICE_HOLD_MS - age_ms : 0;
}

/* The service that a CALL is for. NULL: the CALL is refused, and the caller has got an error. */
static Service *service_for(Services *services, Session *session, const Message *message) {
    const Limits *limits = &services->broker->limits;
    Service *service = service_find(services, message->name);
    const char *problem;
    bool served = service && service->servers;
    bool may_wait =
        !served && message->call.instance.len == 0 && services_wait_ms(services, message) > 0;

    if (!service && (problem = name_problem(message->name.data, message->name.len)))
        session_error(session, message->id, "ferry.InvalidArgument",
                      "'%s' cannot be the name of a service: %s", shown(message->name), problem);
    else if (message->call.timeout_ms > TIMEOUT_MAX_MS)
        session_error(session, message->id, "ferry.InvalidArgument",
                      "CALL: timeout_ms is %" PRIu64 ", but must be 1 to %d, or 0 for %d",
                      message->call.timeout_ms, TIMEOUT_MAX_MS, TIMEOUT_MS);
    else if (message->call.method.len == 0 || message->call.method.len > NAME_MAX_LEN)
        session_error(session, message->id, "ferry.InvalidArgument",
                      "CALL: the name of a method must have 1 to 255 bytes");
    else if (services->broker->draining)
        session_error(session, message->id, "ferry.Draining", "the broker is shutting down");
    else if (session->calls.n >= limits->max_calls)
        session_error(session, message->id, "ferry.Overloaded",
                      "the session already has %u unanswered calls (max_calls)", limits->max_calls);
    else if (quota_refuses(session, message->id, QUOTA_CALL, message->body.len))
        return NULL;
    else if (served && session->user && service->guards &&
             !guards_allow(service, message->call.method, session->user))
        deny_method(session, message);
    else if (!served && !may_wait)
        session_error(session, message->id, "ferry.NoSuchService", "no server offers '%s'",
                      shown(message->name));
    else if (!service && HASH_COUNT(services->table) >= limits->max_names)
        session_error(session, message->id, "ferry.Full",
                      "the broker already has %u services (max_names)", limits->max_names);
    else if (served && message->call.instance.len > 0 &&
             !server_of_instance(service, message->call.instance))
        session_error(session, message->id, "ferry.NoSuchService", "'%s' has no instance '%s'",
                      shown(message->name), shown(message->call.instance));
    else if (!service && !(service = service_new(services, message->name)))
        session_error(session, message->id, "ferry.OutOfMemory", "the broker is out of memory");
    else
        return service;
    return NULL;
}

/* The session makes the call while it works on a request: the request bounds the call's depth and
 * time. */
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
    Call *call;

    if (!service)
        return;
    call = call_new(services, session);
    if (!call) {
        service_release(service);
        session_error(session, message->id, "ferry.Overloaded",
                      "the session has used up its share of the broker's max_memory");
        return;
    }
    call->service = service;
    call->flags = (uint32_t)message->call.flags;
    call->timeout_ms = message->call.timeout_ms ? (uint32_t)message->call.timeout_ms : TIMEOUT_MS;
    call->caller_number = session->number;
    call->user = user_ref(session->user);
    call->started_us = services->broker->now_us;
    call->credit_up = call->credit_down = WIRE_STREAM_CREDIT;
    if (message->id != 0) {
        int r = id_map_put(&session->calls, message->id, call);

        if (r < 0) {
            call_free(call);
            service_release(service);
            if (r == -EEXIST)
                session_fault(session, "CALL: another call of this session has the id %" PRIu64,
                              message->id);
            else
                session_error(session, message->id, "ferry.OutOfMemory",
                              "the broker is out of memory");
            return;
        }
        call->caller = session;
        call->caller_id = message->id;
    }
    call->method = methods_get(&service->methods, message->call.method);
    if (call->method)
        call->method->calls++;
    service->calls++;
    services->broker->stats.calls++;
    call_tap(call, false, OP_CALL, session, message->id, message->body);
    adopt(call, session, message->call.parent);
    call_arm_deadline(call);
    if (!service->servers && services_wait_ms(services, message) < call->timeout_ms)
        call_arm_timer(call, services->broker->now_ms + services_wait_ms(services, message));
    if (call->depth > DEPTH_MAX) {
        call_fail(call, "ferry.Overloaded", "64 nested calls: services call each other in a ring");
        service_release(service);
        return;
    }
    call_dispatch(call, message, block);
    /* A call that still has its caller has not failed. */
    if ((message->call.flags & CALL_ONEWAY) && message->id != 0 &&
        id_map_get(&session->calls, message->id) == call) {
        call_detach(call);
        session_ok(session, LANE_CALLS, message->id, 0);
    }
    service_release(service); /* the service may have no servers and no waiting calls */
}

/* ---- answers ---- */

/* The server has a free slot again: a waiting call gets it. */
static void slot_freed(Service *service, Server *server) {
    if (service->wait_queues)
        calls_serve_waiting(service);
    if (server && server->leaving && server->busy == 0) {
        server_free(server);
        service_release(service);
    }
}

/* Ends the call. */
static void finish(Call *call) {
    Service *service = call->service;
    Server *server = call->server;

    call_free(call);
    slot_freed(service, server);
}

/* The server has answered, but its answer cannot be passed on: the caller gets this error instead.
 * The server is not told to cancel. */
static void finish_failed(Call *call, const char *type, const char *text) {
    Service *service = call->service;
    Server *server = call->server;

    call_leave_server(call);
    call_fail(call, type, text);
    slot_freed(service, server);
}

void services_answer(Services *services, Session *session, const Message *message,
                     const void *block) {
    Broker *broker = services->broker;
    Call *call = id_map_get(&session->requests, message->id);
    Session *caller;
    Message out;
    bool failed = message->op == OP_ERROR;
    Span type = failed ? error_type(message->error.map) : (Span){NULL, 0};

    if (!call) {
        session->n_dropped++;
        broker->stats.late_answers++;
        return;
    }
    server_progress(call->server);
    server_answered(call->server, type);
    caller = call->caller;
    if (!caller && call_is_oneway(call)) {
        method_ended(call->method, services->latencies, broker->now_us - call->started_us, type);
        call->service->errors += failed;
        broker->stats.answers++;
        finish(call);
        return;
    }
    if (!caller) {
        session->n_dropped++;
        broker->stats.late_answers++;
        finish(call);
        return;
    }
    if (!failed && message->body.len > WIRE_INLINE_MAX &&
        !session_may_get(caller, message->body.len)) {
        finish_failed(call, "ferry.Overloaded",
                      "too many bytes wait for the caller (max_session_bytes, or its share of "
                      "max_memory): no room for the answer");
        return;
    }
    if (failed && (message->error.map.len > WIRE_ERROR_BYTES || type.len == 0)) {
        finish_failed(call, "ferry.Internal",
                      type.len == 0 ? "the server answered with an error that has no type"
                                    : "the server answered with an error of more than 64 KiB");
        return;
    }
    method_ended(call->method, services->latencies, broker->now_us - call->started_us, type);
    if (failed) {
        call->service->errors++;
        broker->stats.errors++;
    }
    broker->stats.answers++;

    message_forward_head(&out, (Op)message->op, call->caller_id, message);
    if (failed)
        out.error.map = message->error.map;
    else
        out.ok.seq = out.ok.outcome = out.ok.durability = 0;
    call_tap(call, false, (Op)message->op, session, message->id,
             failed ? message->error.map : message->body);
    call_tap(call, true, (Op)message->op, caller, call->caller_id,
             failed ? message->error.map : message->body);
    /* The answer of a stream must come after its items. */
    session_send(caller, call_is_stream(call) ? LANE_BULK : LANE_CALLS, &out, block);
    finish(call);
}

void services_refuse(Services *services, Session *session, const Message *message,
                     const char *problem) {
    char text[160];

    snprintf(text, sizeof(text), "%s: %s", op_name(message->op), problem);
    services_refuse_body(services, session, message,
                         message->op == OP_OK || message->op == OP_ERROR ? "ferry.Internal"
                                                                         : "ferry.Protocol",
                         text);
}

void services_refuse_body(Services *services, Session *session, const Message *message,
                          const char *type, const char *text) {
    bool answer = message->op == OP_OK || message->op == OP_ERROR;
    /* An answer, or an item from the server, belongs to a call that the session works on. An item
     * from the caller belongs to a call that the session made. An id of one kind must not end a
     * call of the other kind. */
    bool as_server = answer || (message->id & STREAM_ID) != 0;
    Call *call = id_map_get(as_server ? &session->requests : &session->calls, message->id);

    if (!call || (!answer && !call->caller)) {
        session->n_dropped++;
        services->broker->stats.late_answers++;
    } else if (answer) {
        server_progress(call->server);
        server_answered(call->server, span_text(type));
        finish_failed(call, type, text);
    } else {
        call_fail(call, type, text);
    }
}

void services_return(Services *services, Session *session, const Message *message) {
    Call *call = id_map_get(&session->requests, message->id);
    Server *server;

    if (!call) {
        session->n_dropped++;
        services->broker->stats.late_answers++;
        return;
    }
    server = call->server;
    server->returns = true;
    if (!call->caller && !call_is_oneway(call)) {
        finish(call);
        return;
    }
    call_leave_server(call);
    if (!call_return(call))
        call_fail(call, "ferry.Overloaded", "the server had no free slot, and returned the call");
    if (server->leaving && server->busy == 0) {
        Service *service = server->service;

        server_free(server);
        calls_fail_waiting(service, (Span){NULL, 0});
        service_release(service);
    }
}

void services_cancel(Services *services, Session *session, const Message *message) {
    Call *call = id_map_get(&session->calls, message->id);

    (void)services;
    if (!call)
        return;
    call_tap(call, false, OP_CANCEL, session, message->id, (Span){NULL, 0});
    call_fail(call, "ferry.Cancelled", "the caller cancelled the call");
}
