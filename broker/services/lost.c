/* Calls that lose their server or their caller. See call.h. */

#include <utlist.h>

#include "broker/services/call.h"
#include "rpc/wire/name.h"

void calls_fail_line(Service *service, Span instance) {
    bool none_left = true;
    Line *line, *next_line;
    Server *server;
    Call *call, *next;

    DL_FOREACH(service->servers, server) {
        none_left &= server->leaving || server->session->ending;
    }
    DL_FOREACH_SAFE(service->lines, line, next_line) {
        DL_FOREACH_SAFE(line->calls, call, next) {
            if (none_left || (call->instance.len > 0 && call->instance.len == instance.len &&
                              memcmp(call->instance.data, instance.data, instance.len) == 0))
                call_fail(call, "ferry.ServerLost", "its last server went away while it waited");
        }
    }
}

/* One call loses its server: it moves, or fails. */
static void lose_server(Call *call) {
    call_leave_server(call);
    if (!call->caller)
        call_free(call);
    else if (!call_move(call))
        call_fail(call, "ferry.ServerLost", "the server went away during the call");
}

/*
 * Ends the calls of one map, of one server or (NULL) all. Ending one may end others, whose removal
 * moves entries about: so it looks again until none is left.
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
            /* What followed it may have moved into its place. */
            pos--;
        }
    }
}

void services_session_gone(Services *services, Session *session) {
    Server *server, *next_server;

    /* As a caller: what it asked for is cancelled. */
    end_all(&session->calls, NULL, call_abandon);
    /* As a server. */
    DL_FOREACH_SAFE2(session->servers, server, next_server, session_next) {
        Service *service = server->service;
        char instance[NAME_MAX_LEN + 1];

        snprintf(instance, sizeof(instance), "%s", server->instance);
        server_leave(server);
        end_all(&session->requests, server, lose_server);
        server_free(server);
        calls_fail_line(service, span_text(instance));
        calls_serve_line(service);
        service_release(service);
    }
    (void)services;
}
