/* SPDX-License-Identifier: Apache-2.0 */
/* The service router as a whole: new and free, the end of a turn, lost sessions. See services.h. */

#include <stdlib.h>
#include <utlist.h>

#include "base/container.h"
#include "broker/core/rooms.h"
#include "broker/services/services-private.h"
#include "rpc/wire/name.h"

size_t services_n_calls(const Services *services) {
    return services->n_calls;
}

Methods *services_own(Services *services) {
    return &services->own;
}

/* ---- lost sessions ---- */

/* The call loses its server: it moves to another one, or fails. */
static void lose_server(Call *call) {
    call_leave_server(call);
    if (!call->caller && !call_is_oneway(call))
        call_free(call);
    else if (!call_move(call))
        call_fail(call, "ferry.ServerLost", "the server went away during the call");
}

/*
 * Ends the calls of a map: those of one server, or (server NULL) all. The end of one call may end
 * others and so move entries of the map, so the walk is repeated until it finds no call.
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
            /* The next entry may have moved into this place. */
            pos--;
        }
    }
}

static void session_gone(Services *services, Session *session) {
    Server *server, *next_server;

    /* As a caller: its calls are cancelled. */
    end_all(&session->calls, NULL, call_abandon);
    calls_lose_payer(session);
    /* As a server: its calls move or fail. */
    DL_FOREACH_SAFE2(session->servers, server, next_server, session_next) {
        Service *service = server->service;
        char instance[NAME_MAX_LEN + 1];

        snprintf(instance, sizeof(instance), "%s", server->instance);
        server_leave(server);
        end_all(&session->requests, server, lose_server);
        server_free(server);
        calls_fail_waiting(service, span_text(instance));
        calls_serve_waiting(service);
        service_release(service);
    }
    (void)services;
}

/* ---- the end of a turn ---- */

static void turn_end(Services *services) {
    Service *service, *again = NULL;

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
}

/* ---- the room ---- */

static Services *self(const Room *room) {
    return container_of(room, Services, room);
}

static void on_turn_end(Room *room) {
    turn_end(self(room));
}

static size_t on_n_unfinished(const Room *room) {
    return self(room)->n_calls;
}

static void on_session_gone(Room *room, Session *session) {
    session_gone(self(room), session);
}

static const RoomOps room_ops = {
    .turn_end = on_turn_end,
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
    services->own.budget = &broker->budget;
    room_open(broker, &services->room, &room_ops);
    *ret = services;
    return 0;
}

Services *services_free(Services *services) {
    Service *service, *next;

    if (!services)
        return NULL;
    HASH_ITER(hh, services->table, service, next) {
        /* No turn follows that would clear the list of crowded services. */
        service->in_crowded = false;
        /* Oneway calls wait without a caller. */
        while (service->wait_queues)
            call_free(service->wait_queues->calls);
        service_release(service);
    }
    while (services->free_calls) {
        Call *call = services->free_calls;

        services->free_calls = call->next;
        free(call);
    }
    methods_free(&services->own);
    room_close(services->broker, &services->room);
    free(services);
    return NULL;
}
