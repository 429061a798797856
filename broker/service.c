/* The table of services, who serves them, and how their methods do. See call.h. */

#include <inttypes.h>
#include <stdlib.h>
#include <utlist.h>

#include "broker/call.h"

enum { METHODS_MAX = 256 };

int services_new(Services **ret, Broker *broker) {
    Services *services = calloc(1, sizeof(*services));

    if (!services)
        return -ENOMEM;
    services->broker = broker;
    *ret = services;
    return 0;
}

Services *services_free(Services *services) {
    Service *service, *next;

    if (!services)
        return NULL;
    HASH_ITER(hh, services->table, service, next) {
        /* No turn will end any more. */
        service->in_crowded = false;
        service_release(service);
    }
    while (services->free_calls) {
        Call *call = services->free_calls;

        services->free_calls = call->next;
        free(call);
    }
    free(services);
    return NULL;
}

size_t services_n_calls(const Services *services) {
    return services->n_calls;
}

/* ---- services and their methods ---- */

static inline bool is_named(Span name, const char *own, size_t own_len) {
    return name.len == own_len && memcmp(name.data, own, own_len) == 0;
}

/* Calls come in runs: most ask for what the one before them asked for. */
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
    return service;
}

void service_release(Service *service) {
    Method *method, *next;

    if (service->servers || service->line || service->in_crowded)
        return;
    HASH_ITER(hh, service->methods, method, next) {
        HASH_DEL(service->methods, method);
        free(method->latency);
        free(method);
    }
    HASH_DEL(service->services->table, service);
    if (service->services->last == service)
        service->services->last = NULL;
    free(service);
}

Method *service_method(Service *service, Span name) {
    Method *method = service->last_method;

    if (method && is_named(name, method->name, method->name_len))
        return method;
    HASH_FIND(hh, service->methods, name.data, name.len, method);
    if (method)
        service->last_method = method;
    if (method || service->n_methods == METHODS_MAX)
        return method;
    method = calloc(1, sizeof(*method) + name.len + 1);
    if (!method)
        return NULL;
    memcpy(method->name, name.data, name.len);
    method->name_len = name.len;
    HASH_ADD_KEYPTR(hh, service->methods, method->name, name.len, method);
    if (!hash_added(method)) {
        free(method);
        return NULL;
    }
    service->n_methods++;
    return method;
}

static unsigned bucket_of(uint64_t us) {
    unsigned power;

    if (us < 8)
        return (unsigned)us;
    power = 63u - (unsigned)__builtin_clzll(us);
    us = (uint64_t)(power - 2) * 8 + ((us >> (power - 3)) & 7);
    return us < LATENCY_BUCKETS ? (unsigned)us : LATENCY_BUCKETS - 1;
}

static uint64_t bucket_us(unsigned bucket) {
    unsigned power = bucket / 8 + 2;

    return bucket < 8 ? bucket : (UINT64_C(8) + bucket % 8) << (power - 3);
}

void method_ended(Method *method, uint64_t latency_us, Span error) {
    if (!method)
        return;
    if (!method->latency)
        method->latency = calloc(LATENCY_BUCKETS, sizeof(*method->latency));
    if (method->latency)
        method->latency[bucket_of(latency_us)]++;
    if (error.data) {
        method->errors++;
        snprintf(method->last_error, sizeof(method->last_error), "%s", shown(error));
    }
}

uint64_t method_percentile_us(const Method *method, unsigned percent) {
    uint64_t n = 0, seen = 0;

    for (unsigned i = 0; method->latency && i < LATENCY_BUCKETS; i++)
        n += method->latency[i];
    for (unsigned i = 0; n > 0 && i < LATENCY_BUCKETS; i++) {
        seen += method->latency[i];
        if (seen * 100 >= n * percent)
            return bucket_us(i);
    }
    return 0;
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
        if (server_is(server, instance))
            return server;
    }
    return NULL;
}

void server_leave(Server *server) {
    server->service->free_slots -= server_free_slots(server);
    server->leaving = true;
}

void server_free(Server *server) {
    Service *service = server->service;

    DL_DELETE(service->servers, server);
    DL_DELETE2(server->session->servers, server, session_prev, session_next);
    service->n_servers--;
    service->free_slots -= server_free_slots(server);
    ferry_free(server->description);
    free(server);
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
