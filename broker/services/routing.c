/* SPDX-License-Identifier: Apache-2.0 */

/* Choose a server for each call, and give waiting calls to servers that have room again. See
 * services-private.h. */

#include "broker/services/services-private.h"

#include <utlist.h>

enum {
    SERVERS_LOOKED_AT = 8, /* for a good choice among many servers */
    AHEAD_FIRST = 4,       /* number of calls beyond its slots that the only server of a service
                            * gets at first… */
    AHEAD_MAX = 32,        /* …and at most */
    AHEAD_US = 5000,       /* a server that needs more time for a call gets calls for its slots
                            * only */
    PASSED_OVER_MAX = 64,  /* calls for busy instances that one look may skip */
};

/* False: the session does not read its calls, so it gets no more of them. */
static bool reads(const Session *session) {
    return session_waiting(session) <= session->broker->limits.max_subscriber_bytes &&
           (session_waiting(session) < WIRE_INLINE_MAX || session_may_get(session, 0));
}

static bool has_room(const Server *server) {
    return server_is_open(server) && server->busy < server->slots && !server->session->ending &&
           server_may_take_more(server) && reads(server->session);
}

/* The servers of a service that may get a call of this method. If all servers have the same
 * description and no server is ejected, all of them may get it. */
typedef struct Fit {
    Span method;
    bool by_method; /* only servers that have the method: at least one server has it */
    bool ejected;   /* ejected servers, too: all servers are ejected */
} Fit;

static bool fits(const Server *server, const Fit *fit) {
    return server_is_open(server) && (!fit->by_method || server_has_method(server, fit->method)) &&
           (fit->ejected || !server_is_ejected(server));
}

static Fit fit_of(const Service *service, Span method) {
    Fit fit = {.method = method};
    const Server *server;

    if (service->n_servers < 2)
        return (Fit){.ejected = true};
    if (service->differs)
        DL_FOREACH(service->servers, server) {
            fit.by_method |= server_is_open(server) && server_has_method(server, method);
        }
    DL_FOREACH(service->servers, server) {
        if (fits(server, &fit))
            return fit;
    }
    fit.ejected = true;
    return fit;
}

/* A client of several brokers makes calls in one session and serves in another one. */
static bool is_same_client(const Session *one, const Session *other) {
    return one == other || (one && one->has_group && other->has_group &&
                            memcmp(one->group, other->group, WIRE_TOKEN) == 0);
}

/* True: the session waits for the call, or for an ancestor of it, so it begins no request. */
static bool call_is_awaited_by(const Call *call, const Session *session) {
    for (const Call *up = call; up; up = up->parent)
        if ((up->flags & CALL_BLOCKS) && is_same_client(up->caller, session))
            return true;
    return false;
}

static bool call_blocks_sessions(const Call *call) {
    return (call->flags & CALL_BLOCKS) || call->parent;
}

/* True: the call may have to wait although other servers have room. */
static bool is_picky(const Call *call, Span instance) {
    return instance.len > 0 || call->service->differs || call_blocks_sessions(call);
}

/* The server with the largest share of free slots. Servers with equal shares take turns. NULL: no
 * server has room. */
static Server *choose(const Call *call, Span instance, Span method) {
    Service *service = call->service;
    bool blocks = call_blocks_sessions(call);
    Server *best = NULL, *server;
    unsigned looked_at = 0;
    Fit fit;

    if (instance.len > 0) {
        server = server_of_instance(service, instance);
        return server && has_room(server) && !(blocks && call_is_awaited_by(call, server->session))
                   ? server
                   : NULL;
    }
    if (service->free_slots == 0)
        return NULL;
    fit = fit_of(service, method);
    DL_FOREACH(service->servers, server) {
        if (!has_room(server) || !fits(server, &fit) ||
            (blocks && call_is_awaited_by(call, server->session)))
            continue;
        if (!best || (uint64_t)server->busy * best->slots < (uint64_t)best->busy * server->slots)
            best = server;
        if (++looked_at == SERVERS_LOOKED_AT)
            break;
    }
    /* Move the chosen server to the end of the list: the next look begins with other servers. */
    if (best && service->n_servers > 1) {
        DL_DELETE(service->servers, best);
        DL_APPEND(service->servers, best);
    }
    return best;
}

static void occupy(Call *call, Server *server) {
    Services *services = server->service->services;

    call->server = server;
    if (server->busy == 0)
        server->progress_us = services->broker->now_us;
    server->busy++;
    if (server->busy <= server->slots)
        server->service->free_slots--;
    call->request_id = ++services->last_request;
    if (call_is_stream(call))
        call->request_id |= STREAM_ID;
}

/* Sends the call to the server. request: the CALL, with its fields set or with `passed` set. */
static void hand_over(Call *call, Server *server, const Message *request, const void *block) {
    Broker *broker = call->service->services->broker;
    uint64_t ends_ms = call->ends_ms;
    Message out;

    occupy(call, server);
    if (id_map_put(&server->session->requests, call->request_id, call) < 0) {
        call_leave_server(call);
        call_fail(call, "ferry.OutOfMemory", "the broker is out of memory");
        return;
    }
    message_forward_head(&out, OP_CALL, call->request_id, request);
    out.call = request->call;
    out.call.parent = 0;
    out.call.timeout_ms = call_is_stream(call)           ? call->timeout_ms
                          : ends_ms > broker->now_ms + 1 ? ends_ms - broker->now_ms
                                                         : 1;
    /* store() has set the text of a stored request, whose caller may be gone by now. */
    out.call.text = call->payer ? span_text(call->payer->name) : request->call.text;
    /* Set the field always: a caller that writes this field itself must not be believed. */
    out.call.user = call->user ? span_text(call->user->name) : (Span){NULL, 0};
    if (__builtin_expect(broker->tap_generation != 0, 0))
        call_tap(call, true, OP_CALL, server->session, call->request_id, message_body(request));
    session_send(server->session, call_is_stream(call) ? LANE_BULK : LANE_CALLS, &out, block);
    if (call->unsent || call->ended)
        call_send_unsent(call);
}

static size_t size_of_copy(const Message *request) {
    return request->passed.len + request->body.len + request->name.len + request->call.method.len +
           request->call.instance.len + request->headers.len;
}

/* Stores the request for a later hand_over(). -ENOBUFS: the caller has used up its share of
 * max_memory. */
static int store(Call *call, const Message *request, const void *block) {
    Message stored = *request;

    if (call->request)
        return 0;
    if (!call_charge(call, BUDGET_CALLS, size_of_copy(request)))
        return -ENOBUFS;
    stored.call.text = call->payer ? span_text(call->payer->name) : (Span){NULL, 0};
    call->request = stored_message_new(&stored, block, STORE_MESSAGE);
    if (!call->request)
        return -ENOMEM;
    stored_message_read(call->request, &stored);
    call->instance = stored.call.instance;
    call->method_name = stored.call.method;
    return 0;
}

static void hand_over_stored(Call *call, Server *server) {
    Message request;
    const void *block = stored_message_read(call->request, &request);

    call_leave_wait_queue(call);
    /* The timer may have been set to the end of the wait, which is earlier than the deadline. */
    if (!call_is_stream(call) && call->deadline.at_ms != call->ends_ms)
        call_arm_timer(call, call->ends_ms);
    hand_over(call, server, &request, block);
}

static bool may_move(const Call *call) {
    return (call->flags & CALL_IDEMPOTENT) && !(call->flags & CALL_AGAIN) &&
           !call_is_stream(call) &&
           call->moves < call->service->services->broker->limits.max_idempotent_moves;
}

static bool is_ancestor(const Call *call, const Server *server) {
    for (const Call *up = call->parent; up; up = up->parent)
        if (up->server == server)
            return true;
    return false;
}

/*
 * The only server of a service gets some calls beyond its slots ("ahead"), so that a server with
 * one slot does not wait for a round trip between two calls. A call that stands behind a slow call
 * could not go to another server. So only a server that has just answered quickly gets calls ahead,
 * and more of them as long as it answers quickly.
 *
 * A nested call that the server itself waits for is not sent ahead. If the handlers of a server
 * defer, the server returns the calls beyond its slots; from then on it gets no calls ahead.
 * Streams are not sent ahead, because their items could not be returned.
 */
static Server *choose_ahead(const Call *call, Span instance) {
    Server *server = call->service->servers;

    if (call->service->n_servers != 1 || instance.len > 0 || !server_is_open(server) ||
        server->returns || call_is_stream(call) || server->busy >= server->slots + server->ahead ||
        is_ancestor(call, server) || call_is_awaited_by(call, server->session) ||
        server->session->broker->now_us - server->progress_us > AHEAD_US || !reads(server->session))
        return NULL;
    return server;
}

void server_progress(Server *server) {
    uint64_t now_us = server->session->broker->now_us;

    if (now_us - server->progress_us > AHEAD_US)
        server->ahead = 0;
    else if (server->ahead == 0)
        server->ahead = AHEAD_FIRST;
    else if (server->ahead < AHEAD_MAX)
        server->ahead *= 2;
    server->progress_us = now_us;
}

/* True: the call would wait for itself, because each possible server waits for the call, or has all
 * its slots taken by ancestors of the call. */
static bool waits_for_itself(const Call *call, Span instance) {
    const Server *server;

    if (!call_blocks_sessions(call) || !call->service->servers)
        return false;
    DL_FOREACH(call->service->servers, server) {
        unsigned ancestors = 0;

        if (server->leaving || (instance.len > 0 && !server_is(server, instance)) ||
            call_is_awaited_by(call, server->session))
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

/* False: max_waiting_calls is reached, and no waiting call has to give way. */
static bool make_room(Call *call) {
    Service *service = call->service;
    Call *other;

    if (service->n_waiting < service->services->broker->limits.max_waiting_calls)
        return true;
    other = call_to_give_way(call);
    if (!other)
        return false;
    call_fail(other, "ferry.Overloaded",
              "all servers are busy, and this caller has the most waiting calls");
    return true;
}

static void refuse_copy(Call *call, int r) {
    if (r == -ENOBUFS)
        call_fail(call, "ferry.Overloaded",
                  "all servers are busy, and the caller has used up its share of the broker's "
                  "max_memory");
    else
        call_fail(call, "ferry.OutOfMemory", "the broker is out of memory");
}

static void wait_for_server(Call *call, const Message *message, const void *block) {
    Service *service = call->service;
    char text[160];
    int r;

    if (waits_for_itself(call, message->call.instance)) {
        call_fail(call, "ferry.Overloaded",
                  "the call would wait for itself: all servers wait for it, or are busy with its "
                  "callers");
    } else if (!make_room(call)) {
        snprintf(text, sizeof(text),
                 "all %u servers are busy, and %u calls wait already (max_waiting_calls)",
                 service->n_servers, service->n_waiting);
        call_fail(call, "ferry.Overloaded", text);
    } else if ((r = store(call, message, block)) < 0 ||
               (r = call_join_wait_queue(call, false)) < 0) {
        refuse_copy(call, r);
    } else {
        mark_crowded(service);
    }
}

void call_dispatch(Call *call, const Message *message, const void *block) {
    Service *service = call->service;
    Span instance = message->call.instance;
    Server *server = service->wait_queues && !is_picky(call, instance)
                         ? NULL
                         : choose(call, instance, message->call.method);
    bool is_ahead = false;
    int r;

    if (!server && !service->wait_queues) {
        server = choose_ahead(call, message->call.instance);
        is_ahead = server != NULL;
    }
    if (!server)
        wait_for_server(call, message, block);
    else if ((is_ahead || may_move(call)) && (r = store(call, message, block)) < 0 &&
             (is_ahead || r != -ENOBUFS))
        refuse_copy(call, r);
    else
        hand_over(call, server, message, block);
}

bool call_return(Call *call) {
    /* Only a call that was given ahead is certain to have a copy. */
    if (!call->request || call_join_wait_queue(call, true) < 0)
        return false;
    mark_crowded(call->service);
    return true;
}

bool call_move(Call *call) {
    /* A call without a copy (max_memory) cannot move. If the service has no other server, the call
     * waits for one, as new calls do. */
    if (!call->request || !may_move(call) || call->instance.len > 0)
        return false;
    /* The call goes to the front, because it has waited for the longest time. */
    if (call_join_wait_queue(call, true) < 0)
        return false;
    call->moves++;
    mark_crowded(call->service);
    return true;
}

typedef enum ServeOutcome {
    SERVED,
    BLOCKED, /* all calls of the caller are for busy instances */
    FULL,    /* no server has room, or enough calls were examined */
} ServeOutcome;

/* Gives the first possible call of a caller to a server. May free the wait queue. */
static ServeOutcome serve_one(WaitQueue *wait_queue, Service *service, unsigned *passed_over) {
    Call *call;

    DL_FOREACH(wait_queue->calls, call) {
        Server *server = choose(call, call->instance, call->method_name);

        if (!server)
            server = choose_ahead(call, call->instance);
        if (server) {
            wait_queue_served(wait_queue, service);
            hand_over_stored(call, server);
            return SERVED;
        }
        if (!is_picky(call, call->instance) || ++*passed_over == PASSED_OVER_MAX)
            return FULL;
    }
    return BLOCKED;
}

void calls_serve_waiting(Service *service) {
    unsigned passed_over = 0;
    ServeOutcome outcome = SERVED;
    WaitQueue *wait_queue, *next;

    /* A caller that was served goes to the end of the list, and gets further turns. */
    for (wait_queue = service->wait_queues; wait_queue && outcome != FULL; wait_queue = next) {
        next = wait_queue->next;
        outcome = serve_one(wait_queue, service, &passed_over);
        if (!next && outcome == SERVED)
            next = service->wait_queues ? service->wait_queues->prev : NULL;
    }
}

static bool has_servers_left(const Service *service) {
    const Server *server;

    DL_FOREACH(service->servers, server) {
        if (!server->leaving && !server->session->ending)
            return true;
    }
    return false;
}

static void mark_failing(Service *service) {
    Services *services = service->services;

    if (service->in_failing)
        return;
    service->in_failing = true;
    service->next_failing = services->failing;
    services->failing = service;
}

void calls_fail_some(Service *service) {
    bool none_left = !has_servers_left(service);
    unsigned *left = &service->services->fails_left;
    WaitQueue *wait_queue, *next_queue;
    Call *call, *next;

    DL_FOREACH_SAFE(service->wait_queues, wait_queue, next_queue) {
        DL_FOREACH_SAFE(wait_queue->calls, call, next) {
            if (!call->instance_lost && (!none_left || call_may_wait(call)))
                continue;
            if (*left == 0) {
                mark_failing(service);
                return;
            }
            --*left;
            call_fail(call, call->moves > 0 ? "ferry.ServerLost" : "ferry.NoSuchService",
                      "its last server went away while it waited");
        }
    }
}

void calls_fail_waiting(Service *service, Span instance) {
    WaitQueue *wait_queue;
    Call *call;

    if (instance.len > 0) {
        DL_FOREACH(service->wait_queues, wait_queue) {
            DL_FOREACH(wait_queue->calls, call) {
                call->instance_lost |=
                    call->instance.len == instance.len &&
                    memcmp(call->instance.data, instance.data, instance.len) == 0;
            }
        }
    }
    calls_fail_some(service);
}
