/* SPDX-License-Identifier: Apache-2.0 */

/* ferry.Broker's lists of services, instances and methods. See admin-private.h and
 * broker/services/services.h. */

#include <utlist.h>

#include "broker/admin/admin-private.h"
#include "broker/services/services-private.h"
#include "broker/sessions/user.h"
#include "ferry-broker.h"
#include "rpc/schema/description/description.h"

static unsigned write_service(const void *element, const Broker *broker, Buffer *to) {
    const Service *service = element;
    uint64_t slots = 0, busy = 0;
    const Server *server;
    bool described = false;
    uint64_t ejected = 0, not_ready = 0;

    (void)broker;
    DL_FOREACH(service->servers, server) {
        slots += server->slots;
        busy += server->busy;
        described |= server->described;
        ejected += server_is_ejected(server);
        not_ready += server->not_ready;
    }
    write_map(to, 11);
    write_text(to, "name");
    write_text(to, service->name);
    write_pair(to, "instances", service->n_servers);
    write_pair(to, "slots", slots);
    write_pair(to, "busy", busy);
    write_pair(to, "waiting", service->n_waiting);
    write_pair(to, "calls", service->calls);
    write_pair(to, "errors", service->errors);
    write_pair(to, "ejected", ejected);
    write_pair(to, "not_ready", not_ready);
    write_text(to, "differs");
    write_bool(to, service->differs);
    write_text(to, "described");
    write_bool(to, described);
    return service->n_servers;
}

size_t services_count(const Services *services) {
    return HASH_COUNT(services->table);
}

static size_t count_services(const Broker *broker) {
    return services_count(broker->services);
}

static void *first_service(const Broker *broker) {
    return broker->services->table;
}

static void *next_service(const void *element) {
    return ((const Service *)element)->hh.next;
}

static bool is_service_seen(Session *session, const void *element) {
    const Service *service = element;

    return session_sees(session, SIGHT_OF_SERVICE, span_of(service->name, service->name_len));
}

const ListKind list_of_services = {
    .count = count_services,
    .first = first_service,
    .next = next_service,
    .is_seen = is_service_seen,
    .write = write_service,
};

static size_t n_methods(const Server *server) {
    return server->tables ? server->tables->n_methods : 0;
}

/* True: the description of `server` is better than that of `than`. A bad description is better than
 * no description, because its reader learns the problem; of two versions of a service, the later
 * one has more methods. */
static bool tells_more(const Server *server, const Server *than) {
    if (!server->description)
        return false;
    return !than || (server->described && !than->described) ||
           (server->described == than->described && n_methods(server) > n_methods(than));
}

int services_describe(Services *services, Span name, Span instance, Buffer *to) {
    Service *service = service_find(services, name);
    const Server *server, *described = NULL;

    if (!service || !service->servers)
        return -ENOENT;
    write_map(to, 4);
    write_text(to, "name");
    write_text(to, service->name);
    write_text(to, "instances");
    write_array(to, service->n_servers);
    DL_FOREACH(service->servers, server) {
        write_map(to, 7);
        write_text(to, "instance");
        write_text(to, server->instance);
        write_pair(to, "session", server->session->number);
        write_text(to, "client");
        write_text(to, server->session->name);
        write_pair(to, "slots", server->slots);
        write_pair(to, "busy", server->busy);
        write_text(to, "ejected");
        write_bool(to, server_is_ejected(server));
        write_text(to, "ready");
        write_bool(to, !server->not_ready);
        if (instance.len > 0 ? server_is(server, instance) : tells_more(server, described))
            described = server;
    }
    write_text(to, "differs");
    write_bool(to, service->differs);
    write_text(to, "description");
    if (described && described->description)
        write_bin(to, described->description, described->description_len);
    else
        write_nil(to);
    return 0;
}

void services_write_latencies(const Services *services, Buffer *to) {
    latencies_write(services->latencies, to);
}

int services_stats(Services *services, Span name, Buffer *to) {
    Service *service = service_find(services, name);

    if (!service)
        return -ENOENT;
    methods_write(&service->methods, to);
    return 0;
}

/* ---- methods ---- */

int method_services(const Ask *ask, const void *p, Buffer *to, ferry_error *reterr) {
    (void)p;
    return admin_list_answer(ask, &list_of_services, to, reterr);
}

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
    write_map(to, 4);
    write_text(to, "name");
    write_text(to, ferry_service_ferry_broker.name);
    write_text(to, "instances");
    write_array(to, 1);
    write_map(to, 7);
    write_text(to, "instance");
    write_text(to, ADMIN_INSTANCE);
    write_pair(to, "session", 0);
    write_text(to, "client");
    write_text(to, "ferry broker");
    write_pair(to, "slots", 1);
    write_pair(to, "busy", 0);
    write_text(to, "ejected");
    write_bool(to, false);
    write_text(to, "ready");
    write_bool(to, true);
    write_text(to, "differs");
    write_bool(to, false);
    write_text(to, "description");
    write_bin(to, description.data, description.len);
    return 0;
}

int method_describe(const Ask *ask, const void *p, Buffer *to, ferry_error *reterr) {
    const ferry_broker_describe_args *args = p;

    if (strcmp(args->service, ferry_service_ferry_broker.name) == 0)
        return describe_myself(to);
    return no_service(services_describe(ask->broker->services, span_text(args->service),
                                        span_text(args->instance ? args->instance : ""), to),
                      args->service, reterr);
}

int method_methods(const Ask *ask, const void *p, Buffer *to, ferry_error *reterr) {
    const ferry_broker_methods_args *args = p;

    if (strcmp(args->service, ferry_service_ferry_broker.name) == 0) {
        methods_write(services_own(ask->broker->services), to);
        return 0;
    }
    return no_service(services_stats(ask->broker->services, span_text(args->service), to),
                      args->service, reterr);
}
