/* The table of services and who serves them. See service.h; call.c has the calls. */

#include <inttypes.h>
#include <stdlib.h>
#include <utlist.h>

#include "broker/call.h"
#include "broker/peer-log.h"
#include "rpc/schema/description.h"
#include "rpc/wire/name.h"

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

Service *service_find(Services *services, Span name) {
    Service *service;

    HASH_FIND(hh, services->table, name.data, name.len, service);
    return service;
}

static Service *service_new(Services *services, Span name) {
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
    free(service);
}

Method *service_method(Service *service, Span name) {
    Method *method;

    HASH_FIND(hh, service->methods, name.data, name.len, method);
    if (method || service->n_methods == METHODS_MAX)
        return method;
    method = calloc(1, sizeof(*method) + name.len + 1);
    if (!method)
        return NULL;
    memcpy(method->name, name.data, name.len);
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

static uint64_t percentile(const Method *method, unsigned percent) {
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

void server_free(Server *server) {
    Service *service = server->service;

    DL_DELETE(service->servers, server);
    DL_DELETE2(server->session->servers, server, session_prev, session_next);
    service->n_servers--;
    service->free_slots -= server_free_slots(server);
    ferry_free(server->description);
    free(server);
}

/* One that cannot be read is told of here, to its server, and to whoever asks for it; its server
 * serves all the same. reterr is set when there is something to tell. */
static int check_description(const Server *server, Span description, bool *ret_good,
                             ferry_error *reterr) {
    const char *name = server->service->name;
    ferry_service *tables = NULL;
    int r = description.len > 0 ? description_read(description, &tables, reterr) : -EINVAL;

    if (r == 0 && strcmp(tables->name, name) != 0)
        r = error_set(reterr, "ferry.InvalidArgument",
                      "description: it is of '%.255s', not of '%s'", tables->name, name);
    *ret_good = r == 0;
    ferry_free(tables);
    if (r == -ENOMEM)
        return r;
    if (r < 0 && reterr->type)
        peer_log(server->session->broker, LOG_LEVEL_WARNING,
                 "the description of service '%s' cannot be used, listing it as undescribed: "
                 "session=%u problem='%s'",
                 shown(span_text(name)), server->session->number,
                 shown(span_text(reterr->message)));
    return 0;
}

static int describe_server(Server *server, Span description, ferry_error *reterr) {
    void *copy = NULL;
    bool good;

    if (check_description(server, description, &good, reterr) < 0)
        return -ENOMEM;
    if (description.len > DESCRIPTION_BYTES_MAX)
        description.len = 0;
    if (description.len > 0) {
        copy = ferry_alloc(description.len);
        if (!copy)
            return -ENOMEM;
        memcpy(copy, description.data, description.len);
    }
    ferry_free(server->description);
    server->description = copy;
    server->description_len = description.len;
    server->described = good;
    return 0;
}

static Server *server_new(Session *session, Service *service, Span instance) {
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

/* What is wrong with a SERVE, answered; true: nothing. */
static bool may_serve(Services *services, Session *session, const Message *message,
                      Service *service) {
    const Limits *limits = &services->broker->limits;
    const char *problem = name_problem(message->name.data, message->name.len);
    Server *other;

    if (problem)
        session_error(session, message->id, "ferry.InvalidArgument",
                      "'%s' cannot be the name of a service: %s", shown(message->name), problem);
    else if (message->name.len >= 6 && memcmp(message->name.data, "ferry.", 6) == 0)
        session_error(session, message->id, "ferry.PermissionDenied",
                      "services named ferry.… are the broker's own");
    else if (message->instance.len > 0 &&
             (problem = name_problem(message->instance.data, message->instance.len)))
        session_error(session, message->id, "ferry.InvalidArgument",
                      "'%s' cannot be the name of an instance: %s", shown(message->instance),
                      problem);
    else if (message->slots > limits->max_slots)
        session_error(session, message->id, "ferry.InvalidArgument",
                      "%" PRIu64 " slots are too many: max_slots is %u", message->slots,
                      limits->max_slots);
    else if (service && message->instance.len > 0 &&
             (other = server_of_instance(service, message->instance)) && other->session != session)
        session_error(session, message->id, "ferry.AlreadyExists",
                      "an instance '%s' of '%s' is being served by session %u",
                      shown(message->instance), service->name, other->session->number);
    else if (!service && HASH_COUNT(services->table) >= limits->max_names)
        session_error(session, message->id, "ferry.Full", "there are %u services: max_names",
                      limits->max_names);
    else if (services_of(session) >= limits->max_serves)
        session_error(session, message->id, "ferry.Full",
                      "the session serves %u services: max_serves", limits->max_serves);
    else if (services->broker->draining)
        session_error(session, message->id, "ferry.Draining", "the broker is shutting down");
    else
        return true;
    return false;
}

/* OK; with it, what is wrong with the description, if anything is. */
static void serve_ok(Session *session, uint64_t id, const ferry_error *problem) {
    if (problem->type && id != 0)
        session_send(session, LANE_CALLS,
                     &(Message){.op = OP_OK, .id = id, .body = span_text(problem->message)}, NULL);
    else
        session_ok(session, LANE_CALLS, id, 0);
}

void services_serve(Services *services, Session *session, const Message *message) {
    CLEANUP(ferry_error_clear) ferry_error problem = FERRY_ERROR_INIT;
    Service *service = service_find(services, message->name);
    unsigned slots = message->slots ? (unsigned)message->slots : 1;
    Server *server;

    if (!may_serve(services, session, message, service))
        return;
    if (!service)
        service = service_new(services, message->name);
    server = service ? server_find(session, service) : NULL;
    if (service && !server)
        server = server_new(session, service, message->instance);
    if (!server || describe_server(server, message->body, &problem) < 0) {
        if (service)
            service_release(service);
        session_error(session, message->id, "ferry.OutOfMemory", "out of memory");
        return;
    }
    service->free_slots -= server_free_slots(server);
    server->leaving = false;
    server->slots = slots;
    service->free_slots += server_free_slots(server);
    serve_ok(session, message->id, &problem);
    calls_serve_line(service);
}

void services_unserve(Services *services, Session *session, const Message *message) {
    Service *service = service_find(services, message->name);
    Server *server = service ? server_find(session, service) : NULL;

    if (!server || server->leaving) {
        session_error(session, message->id, "ferry.NotFound", "the session does not serve '%s'",
                      shown(message->name));
        return;
    }
    service->free_slots -= server_free_slots(server);
    server->leaving = true;
    session_ok(session, LANE_CALLS, message->id, 0);
    calls_fail_line(service, span_text(server->instance));
    if (server->busy == 0) {
        server_free(server);
        service_release(service);
    }
}

/* ---- for ferry.Broker ---- */

static void write_service(Buffer *to, const Service *service) {
    uint64_t slots = 0, busy = 0;
    const Server *server;
    bool described = false;

    DL_FOREACH(service->servers, server) {
        slots += server->slots;
        busy += server->busy;
        described |= server->described;
    }
    write_map(to, 8);
    write_text(to, "name");
    write_text(to, service->name);
    write_pair(to, "instances", service->n_servers);
    write_pair(to, "slots", slots);
    write_pair(to, "busy", busy);
    write_pair(to, "waiting", service->n_waiting);
    write_pair(to, "calls", service->calls);
    write_pair(to, "errors", service->errors);
    write_text(to, "described");
    write_bool(to, described);
}

void services_list(Services *services, Buffer *to) {
    Service *service, *next;

    write_array(to, HASH_COUNT(services->table));
    HASH_ITER(hh, services->table, service, next) {
        write_service(to, service);
    }
}

int services_describe(Services *services, Span name, Buffer *to) {
    Service *service = service_find(services, name);
    const Server *server, *described = NULL;

    if (!service)
        return -ENOENT;
    write_map(to, 3);
    write_text(to, "name");
    write_text(to, service->name);
    write_text(to, "instances");
    write_array(to, service->n_servers);
    DL_FOREACH(service->servers, server) {
        write_map(to, 5);
        write_text(to, "instance");
        write_text(to, server->instance);
        write_pair(to, "session", server->session->number);
        write_text(to, "client");
        write_text(to, server->session->name);
        write_pair(to, "slots", server->slots);
        write_pair(to, "busy", server->busy);
        /* A bad one is better than none: who reads it learns what is wrong with it. */
        if (server->description && (!described || (server->described && !described->described)))
            described = server;
    }
    write_text(to, "description");
    if (described)
        write_bin(to, described->description, described->description_len);
    else
        write_nil(to);
    return 0;
}

int services_stats(Services *services, Span name, Buffer *to) {
    Service *service = service_find(services, name);
    Method *method, *next;

    if (!service)
        return -ENOENT;
    write_array(to, service->n_methods);
    HASH_ITER(hh, service->methods, method, next) {
        write_map(to, 6);
        write_text(to, "method");
        write_text(to, method->name);
        write_pair(to, "calls", method->calls);
        write_pair(to, "errors", method->errors);
        write_pair(to, "p50_us", percentile(method, 50));
        write_pair(to, "p99_us", percentile(method, 99));
        write_text(to, "last_error");
        write_text(to, method->last_error);
    }
    return 0;
}
