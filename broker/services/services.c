/* SPDX-License-Identifier: Apache-2.0 */
/* The service router as a whole: new, free, the end of a turn, and lost sessions. See
 * services.h. */

#include <limits.h>
#include <stdlib.h>
#include <utlist.h>

#include "base/container.h"
#include "broker/core/rooms.h"
#include "broker/services/direct.h"
#include "broker/services/services-private.h"
#include "broker/sessions/hello.h"
#include "rpc/wire/name.h"

size_t services_n_calls(const Services *services) {
    return services->n_calls;
}

Methods *services_own(Services *services) {
    return &services->own;
}

/* ---- lost sessions ---- */

/* The call has lost its server: it moves to another server, or fails. */
static void lose_server(Call *call) {
    call_leave_server(call);
    if (!call->caller && !call_is_oneway(call))
        call_free(call);
    else if (!call_move(call))
        call_fail(call, "ferry.ServerLost", "the server went away during the call");
}

/* Ends calls of a map, and subtracts their number from *left. */
static void end_some(IdMap *map, void (*end)(Call *call), unsigned *left) {
    /* The end of one call may end other calls and so move entries of the map: then begin at the
     * front again. */
    while (*left > 0 && map->n > 0) {
        size_t pos = 0;
        Call *call;

        while (*left > 0 && (call = id_map_next(map, &pos))) {
            end(call);
            --*left;
            /* The next entry may have moved into this place. */
            pos--;
        }
    }
}

/* Ends calls of a session that has ended; after its last call, frees the session. */
static void end_calls(Session *session, unsigned *left) {
    /* The calls that it made are cancelled. */
    end_some(&session->calls, call_abandon, left);
    /* The calls that it worked on move or fail. */
    end_some(&session->requests, lose_server, left);
    /* Other calls stay at their servers, or wait for one, but the account that pays for them
     * ends. */
    for (; *left > 0 && session->paid_calls; --*left)
        call_lose_payer(session->paid_calls);
    session->has_calls = session->calls.n > 0 || session->requests.n > 0 || session->paid_calls;
    while (!session->has_calls && session->servers) {
        Server *server = session->servers;
        Service *service = server->service;
        char instance[NAME_MAX_LEN + 1];

        snprintf(instance, sizeof(instance), "%s", server->instance);
        server_free(server);
        calls_fail_waiting(service, span_text(instance));
        calls_serve_waiting(service);
        service_release(service);
    }
}

static void end_calls_of_ended(Services *services, unsigned n) {
    Session *session;

    while (n > 0 && (session = services->ends)) {
        end_calls(session, &n);
        if (session->has_calls)
            return;
        services->ends = session->next_ending;
        session_free(session);
    }
}

static void session_gone(Services *services, Session *session) {
    unsigned n = ENDS_PER_TURN;
    Server *server;

    direct_session_gone(services, session);
    DL_FOREACH2(session->servers, server, session_next) {
        server_leave(server);
        direct_withdraw(server);
        direct_review(server->service);
    }
    /* If the session has few calls, it ends at once. */
    end_calls(session, &n);
    if (session->has_calls) {
        session->next_ending = services->ends;
        services->ends = session;
    }
}

/* ---- the end of a turn ---- */

/* Fails the next of the calls that wait for servers that have gone. */
static void fail_more(Services *services) {
    Service *service, *next;

    service = services->failing;
    services->failing = NULL;
    for (; service; service = next) {
        next = service->next_failing;
        service->in_failing = false;
        calls_fail_some(service);
        service_release(service);
    }
    services->fails_left = ENDS_PER_TURN;
}

static void turn_end(Services *services) {
    Service *service, *again = NULL;

    end_calls_of_ended(services, ENDS_PER_TURN);
    while ((service = services->crowded)) {
        services->crowded = service->next_crowded;
        service->in_crowded = false;
        calls_serve_waiting(service);
        if (service->wait_queues) {
            service->in_crowded = true;
            service->next_crowded = again;
            again = service;
        } else {
            service_release(service);
        }
    }
    services->crowded = again;
    fail_more(services);
    direct_turn_end(services);
}

/* ---- the room ---- */

static Services *self(const Room *room) {
    return container_of(room, Services, room);
}

static void on_turn_end(Room *room) {
    turn_end(self(room));
}

static uint64_t on_next_ms(const Room *room) {
    const Services *services = self(room);

    return services->ends || services->failing || services->reviews ? 0 : UINT64_MAX;
}

static size_t on_n_unfinished(const Room *room) {
    return self(room)->n_calls;
}

static void on_session_gone(Room *room, Session *session) {
    session_gone(self(room), session);
}

static const RoomOps room_ops = {
    .turn_end = on_turn_end,
    .next_ms = on_next_ms,
    .n_unfinished = on_n_unfinished,
    .session_gone = on_session_gone,
};

/* ---- new and free ---- */

int services_new(Services **ret, Broker *broker) {
    Services *services = calloc(1, sizeof(*services));

    if (!services)
        return -ENOMEM;
    services->broker = broker;
    services->last_request = broker->first_id;
    services->fails_left = ENDS_PER_TURN;
    services->own.budget = &broker->budget;
    slabs_init(&services->slabs, &services->slab_bytes);
    room_open(broker, &services->room, &room_ops);
    *ret = services;
    return 0;
}

Services *services_free(Services *services) {
    Service *service, *next;

    if (!services)
        return NULL;
    end_calls_of_ended(services, UINT_MAX);
    HASH_ITER(hh, services->table, service, next) {
        /* No later turn clears these lists. */
        service->in_crowded = service->in_failing = false;
        /* Oneway calls wait although their callers are gone. */
        while (service->wait_queues)
            call_free(service->wait_queues->calls);
        service_release(service);
    }
    slabs_deinit(&services->slabs);
    methods_free(&services->own);
    room_close(services->broker, &services->room);
    free(services);
    return NULL;
}
