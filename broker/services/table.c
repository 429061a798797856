/* SPDX-License-Identifier: Apache-2.0 */

/* The table of services and their servers. See services-private.h. */

#include <inttypes.h>
#include <stdlib.h>
#include <utlist.h>

#include "broker/events/events.h"
#include "broker/services/guards.h"

/* ---- services ---- */

static inline bool is_named(Span name, const char *own, size_t own_len) {
    return name.len == own_len && memcmp(name.data, own, own_len) == 0;
}

static size_t memory_of(const Service *service) {
    return sizeof(*service) + service->name_len;
}

/* The next call often has the same name: look at the last service first. */
Service *service_find(Services *services, Span name) {
    Service *service = services->last;

    if (service && is_named(name, service->name, service->name_len))
        return service;
    HASH_FIND(hh, services->table, name.data, name.len, service);
    if (service)
        services->last = service;
    return service;
}

Service *service_new(Services *services, Span name) {
    Service *service = calloc(1, sizeof(*service) + name.len + 1);

    if (!service)
        return NULL;
    service->services = services;
    service->name_len = name.len;
    memcpy(service->name, name.data, name.len);
    HASH_ADD_KEYPTR(hh, services->table, service->name, service->name_len, service);
    if (!hash_added(service)) {
        free(service);
        return NULL;
    }
    service->methods.budget = &services->broker->budget;
    services->broker->budget.bytes[BUDGET_SERVICES] += memory_of(service);
    return service;
}

void service_release(Service *service) {
    if (service->servers || service->wait_queues || service->in_crowded || service->in_failing)
        return;
    methods_free(&service->methods);
    walks_pass(service->services->broker->walks, service, service->hh.next);
    HASH_DEL(service->services->table, service);
    service->services->broker->budget.bytes[BUDGET_SERVICES] -= memory_of(service);
    if (service->services->last == service)
        service->services->last = NULL;
    free(service);
}

/* ---- services that had a server a short time ago ---- */

static uint64_t hash_of(Span name) {
    return XXH3_64bits(name.data, name.len) | 1;
}

void services_saw(Services *services, Span name) {
    uint64_t hash = hash_of(name);

    services->seen[hash / 2 % SERVICES_SEEN] =
        (SeenService){hash, services->broker->now_ms + SERVICE_SEEN_MS};
}

bool services_have_seen(const Services *services, Span name) {
    uint64_t hash = hash_of(name);
    const SeenService *seen = &services->seen[hash / 2 % SERVICES_SEEN];

    return seen->hash == hash && seen->until_ms > services->broker->now_ms;
}

/* ---- servers ---- */

Server *server_find(Session *session, const Service *service) {
    Server *server;

    DL_FOREACH2(session->servers, server, session_next) {
        if (server->service == service)
            return server;
    }
    return NULL;
}

bool server_is(const Server *server, Span instance) {
    return span_is(instance, server->instance);
}

Server *server_of_instance(const Service *service, Span instance) {
    Server *server;

    DL_FOREACH(service->servers, server) {
        if (server_is(server, instance) && !server->session->ending)
            return server;
    }
    return NULL;
}

bool server_has_method(const Server *server, Span method) {
    if (!server->tables)
        return true;
    for (size_t i = 0; i < server->tables->n_methods; i++)
        if (span_is(method, server->tables->methods[i].name))
            return true;
    return false;
}

static bool has_same_description(const Server *a, const Server *b) {
    return a->description_len == b->description_len && a->description_hash == b->description_hash;
}

void service_compare(Service *service) {
    const Server *server, *first = NULL;

    service->differs = false;
    DL_FOREACH(service->servers, server) {
        if (server->leaving)
            continue;
        if (first && !has_same_description(first, server))
            service->differs = true;
        first = server;
    }
}

void server_leave(Server *server) {
    server->service->free_slots -= server_free_slots(server);
    server->leaving = true;
    service_compare(server->service);
}

void server_free(Server *server) {
    Service *service = server->service;
    Broker *broker = service->services->broker;

    /* A server without slots has not begun to serve: its SERVE was refused. */
    if (server->slots > 0 && event_is_watched(broker, EVENT_SERVICE_LOST))
        event_raise(broker, EVENT_SERVICE_LOST,
                    &(broker_events_service_lost){.service = service->name,
                                                  .instance = server->instance,
                                                  .session = server->session->number,
                                                  .servers = service->n_servers - 1});
    DL_DELETE(service->servers, server);
    DL_DELETE2(server->session->servers, server, session_prev, session_next);
    service->n_servers--;
    service->free_slots -= server_free_slots(server);
    account_refund(&server->session->peer->account, BUDGET_SERVICES,
                   sizeof(*server) + server->description_memory);
    guards_set(server, NULL);
    free(server->endpoint);
    ferry_free(server->description);
    ferry_free(server->tables);
    free(server);
    if (service->n_servers == 0)
        services_saw(service->services, span_of(service->name, service->name_len));
    service_compare(service);
}

Server *server_new(Session *session, Service *service, Span instance) {
    Services *services = service->services;
    size_t size = instance.len > 0 ? instance.len + 1 : 32;
    Server *server = calloc(1, sizeof(*server) + size);

    if (!server)
        return NULL;
    server->service = service;
    server->session = session;
    if (instance.len > 0)
        memcpy(server->instance, instance.data, instance.len);
    else
        snprintf(server->instance, size, "%u-%" PRIu64, session->number, ++services->last_instance);
    DL_PREPEND(service->servers, server);
    DL_APPEND2(session->servers, server, session_prev, session_next);
    service->n_servers++;
    account_charge(&session->peer->account, BUDGET_SERVICES, sizeof(*server));
    return server;
}

unsigned services_of(const Session *session) {
    const Server *server;
    unsigned n = 0;

    DL_FOREACH2(session->servers, server, session_next) {
        n++;
    }
    return n;
}
