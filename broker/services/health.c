/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Servers that fail while other servers of the service succeed. A server that fails at once always
 * has free slots, so it would attract almost all calls. If a server fails EJECT_FAILURES times in a
 * row, and another server of the service has succeeded last, the server gets no calls for a second.
 * Each further ejection lasts twice as long. After it the server is on trial: it gets one call at a
 * time, until one succeeds. See services-private.h.
 */

#include <utlist.h>

#include "broker/services/services-private.h"

enum {
    EJECT_FAILURES = 5,
    EJECT_MS = 1000,
    EJECT_DOUBLINGS = 5, /* the longest ejection: 32 s */
};

/* An exception that the service declares is an answer. The error types here mean that the server,
 * or a service behind it, does not work. */
static bool is_failure(Span type) {
    static const char *const failures[] = {
        "ferry.Internal", "ferry.OutOfMemory", "ferry.Overloaded", "ferry.NoSuchService",
        "ferry.Draining", "ferry.ServerLost",  "ferry.Full",
    };

    for (size_t i = 0; i < sizeof(failures) / sizeof(*failures); i++)
        if (span_is(type, failures[i]))
            return true;
    return false;
}

bool server_is_ejected(const Server *server) {
    return server->health.ejected_until_ms > server->session->broker->now_ms;
}

/* A service needs at least one server for its calls: the last one that works is never ejected. */
static bool another_works(const Server *server) {
    const Server *other;

    DL_FOREACH(server->service->servers, other) {
        if (other != server && server_is_open(other) && other->health.n_failures == 0 &&
            !other->health.on_trial && !server_is_ejected(other))
            return true;
    }
    return false;
}

static void eject(Server *server) {
    ServerHealth *health = &server->health;

    health->ejected_until_ms =
        server->session->broker->now_ms + ((uint64_t)EJECT_MS << health->n_ejections);
    if (health->n_ejections < EJECT_DOUBLINGS)
        health->n_ejections++;
    health->on_trial = true;
    health->n_failures = 0;
}

void server_answered(Server *server, Span error) {
    ServerHealth *health = &server->health;

    if (!error.data) {
        health->n_failures = 0;
        if (health->on_trial && !server_is_ejected(server)) {
            health->on_trial = false;
            health->n_ejections = 0;
        }
        return;
    }
    if (!is_failure(error) || server_is_ejected(server))
        return;
    health->n_failures++;
    if ((health->on_trial || health->n_failures >= EJECT_FAILURES) && another_works(server))
        eject(server);
}
