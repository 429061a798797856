/* SPDX-License-Identifier: Apache-2.0 */

/* SERVE and UNSERVE: checks, servers, descriptions. See services.h. */

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "broker/core/peer-log.h"
#include "broker/events/events.h"
#include "broker/services/direct.h"
#include "broker/services/guards.h"
#include "rpc/schema/description/description.h"
#include "rpc/wire/name.h"

/* Reads the description. A server whose description cannot be read serves without one: the problem
 * goes to the log, to the server, and to clients that ask for the description. If there is a
 * problem, reterr is set. */
static int check_description(Server *server, Span description, ferry_service **ret_tables,
                             ferry_error *reterr) {
    const char *name = server->service->name;
    ferry_service *tables = NULL;
    int r = description.len > 0 ? description_read(description, &tables, reterr) : -EINVAL;
    int r_guards;

    if (r == 0 && strcmp(tables->name, name) != 0)
        r = error_set(reterr, "ferry.InvalidArgument",
                      "the description is for '%.255s', not for '%s'", tables->name, name);
    *ret_tables = r == 0 ? tables : NULL;
    r_guards = r == -ENOMEM ? r : guards_set(server, *ret_tables);
    if (r < 0 || r_guards < 0) {
        ferry_free(tables);
        *ret_tables = NULL;
    }
    if (r_guards < 0)
        return r_guards;
    if (r < 0 && reterr->type)
        peer_log(server->session->broker, LOG_LEVEL_WARNING,
                 "the description of service '%s' cannot be used, listing it as undescribed: "
                 "session=%u problem='%s'",
                 shown(span_text(name)), server->session->number,
                 shown(span_text(reterr->message)));
    return 0;
}

static int describe_server(Server *server, Span description, ferry_error *reterr) {
    Account *account = &server->session->peer->account;
    ferry_service *tables = NULL;
    void *copy = NULL;
    int r = check_description(server, description, &tables, reterr);

    if (r < 0)
        return r;
    if (description.len > DESCRIPTION_BYTES_MAX)
        description.len = 0;
    if (description.len > 0) {
        copy = ferry_alloc(description.len);
        if (!copy) {
            ferry_free(tables);
            return -ENOMEM;
        }
        memcpy(copy, description.data, description.len);
    }
    account_refund(account, BUDGET_SERVICES, server->description_memory);
    server->description_memory = description.len + (tables ? description_memory(tables) : 0);
    account_charge(account, BUDGET_SERVICES, server->description_memory);
    ferry_free(server->description);
    ferry_free(server->tables);
    server->tables = tables;
    server->description = copy;
    server->description_len = description.len;
    server->description_hash = XXH3_64bits(copy, description.len);
    server->described = tables != NULL;
    service_compare(server->service);
    return 0;
}

/* False: the SERVE is refused, and the session has got an error. */
static bool may_serve(Services *services, Session *session, const Message *message,
                      Service *service) {
    const Limits *limits = &services->broker->limits;
    const char *problem = name_problem(message->name.data, message->name.len);
    Server *other;

    if (problem)
        session_error(session, message->id, "ferry.InvalidArgument",
                      "'%s' cannot be the name of a service: %s", shown(message->name), problem);
    else if (name_is_reserved(message->name.data, message->name.len))
        session_error(session, message->id, "ferry.PermissionDenied",
                      "'%s' cannot be the name of a service: names that begin with 'ferry.' belong "
                      "to the broker",
                      shown(message->name));
    else if (message->serve.instance.len > 0 &&
             (problem = name_problem(message->serve.instance.data, message->serve.instance.len)))
        session_error(session, message->id, "ferry.InvalidArgument",
                      "'%s' cannot be the name of an instance: %s", shown(message->serve.instance),
                      problem);
    else if (message->serve.slots > limits->max_slots)
        session_error(session, message->id, "ferry.InvalidArgument",
                      "%" PRIu64 " slots are too many: max_slots is %u", message->serve.slots,
                      limits->max_slots);
    else if (service && message->serve.instance.len > 0 &&
             (other = server_of_instance(service, message->serve.instance)) &&
             other->session != session)
        session_error(session, message->id, "ferry.AlreadyExists",
                      "session %u already serves an instance '%s' of '%s'", other->session->number,
                      shown(message->serve.instance), service->name);
    else if (!service && HASH_COUNT(services->table) >= limits->max_names)
        session_error(session, message->id, "ferry.Full",
                      "the broker already has %u services (max_names)", limits->max_names);
    else if (services_of(session) >= limits->max_serves &&
             !(service && server_find(session, service)))
        session_error(session, message->id, "ferry.Full",
                      "the session already serves %u services (max_serves)", limits->max_serves);
    else if (!account_allows(&session->peer->account,
                             sizeof(*other) + message->body.len * (1 + DESCRIPTION_TABLES)))
        session_error(session, message->id, "ferry.Full",
                      "the session has used up its share of the broker's max_memory");
    else if (services->broker->draining)
        session_error(session, message->id, "ferry.Draining", "the broker is shutting down");
    else
        return true;
    return false;
}

/* Sends OK. If there is a problem with the description, the body is its text. */
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
    unsigned slots = message->serve.slots ? (unsigned)message->serve.slots : 1;
    Server *server;
    bool is_new;
    int r;

    if (!may_serve(services, session, message, service))
        return;
    if (!service)
        service = service_new(services, message->name);
    server = service ? server_find(session, service) : NULL;
    is_new = !server;
    if (service && is_new)
        server = server_new(session, service, message->serve.instance);
    r = server ? describe_server(server, message->body, &problem) : -ENOMEM;
    if (r == 0)
        r = direct_announce(server, message);
    if (r < 0) {
        if (server && is_new)
            server_free(server);
        if (service)
            service_release(service);
        if (r == -ENOBUFS)
            session_error(session, message->id, "ferry.Full",
                          "more than %d methods of the service have the annotation 'may'",
                          GUARDS_MAX);
        else
            session_error(session, message->id, "ferry.OutOfMemory", "the broker is out of memory");
        return;
    }
    service->free_slots -= server_free_slots(server);
    server->leaving = false;
    server->slots = slots;
    server->not_ready = message->serve.flags & SERVE_NOT_READY;
    service->free_slots += server_free_slots(server);
    serve_ok(session, message->id, &problem);
    if (is_new && event_is_watched(services->broker, EVENT_SERVICE_ADDED))
        event_raise(services->broker, EVENT_SERVICE_ADDED,
                    &(broker_events_service_added){.service = service->name,
                                                   .instance = server->instance,
                                                   .session = session->number,
                                                   .servers = service->n_servers});
    if (server->not_ready)
        direct_withdraw(server);
    direct_review(service);
    calls_serve_waiting(service);
}

void services_unserve(Services *services, Session *session, const Message *message) {
    Service *service = service_find(services, message->name);
    Server *server = service ? server_find(session, service) : NULL;

    if (!server || server->leaving) {
        session_error(session, message->id, "ferry.NotFound", "the session does not serve '%s'",
                      shown(message->name));
        return;
    }
    server_leave(server);
    direct_withdraw(server);
    direct_review(service);
    session_ok(session, LANE_CALLS, message->id, 0);
    calls_fail_waiting(service, span_text(server->instance));
    if (server->busy == 0) {
        server_free(server);
        service_release(service);
    }
}
