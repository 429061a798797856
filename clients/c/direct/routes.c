/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A caller's connections to servers: the broker tells where they listen, and each call goes to the
 * better one of two that are chosen at random. See direct-private.h.
 */

#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>
#include <utlist.h>

#include "base/container.h"
#include "clients/c/calls/call.h"
#include "clients/c/direct/direct-private.h"
#include "rpc/address/endpoint.h"

enum {
    EVENTS_MAX = 64,
    RETURN_MS = 10000, /* a server comes back to a broker that has started within this time */
    IDLE_MS = 50,      /* a caller that has not read for this long reads before it sends */
};

/* ---- which routes take calls ---- */

static void go_down(ServerRoute *route) {
    WatchedService *watch = route->watch;

    if (!route->is_up)
        return;
    route->is_up = false;
    for (unsigned i = 0; i < watch->n_up; i++)
        if (watch->up[i] == route) {
            watch->up[i] = watch->up[--watch->n_up];
            return;
        }
}

static void go_up(ServerRoute *route) {
    WatchedService *watch = route->watch;
    ServerRoute **up;

    if (route->is_up || route->is_leaving)
        return;
    if (watch->n_up == watch->up_cap) {
        up = realloc(watch->up, (watch->up_cap + 8) * sizeof(*up));
        if (!up)
            return; /* its calls go through the broker */
        watch->up = up;
        watch->up_cap += 8;
    }
    watch->up[watch->n_up++] = route;
    route->is_up = true;
}

static void leave(ServerRoute *route) {
    go_down(route);
    route->is_leaving = true;
    route->watch->direct->has_leavers = true;
}

/* ---- the connection ---- */

static void on_message(const Message *message, const void *block, void *ctx) {
    ServerRoute *route = ctx;

    if (message->op == OP_UNSERVE) {
        /* The server takes no more calls: calls sent before this answer are the last ones. */
        leave(route);
        link_put(route->route.link, LANE_CALLS, &(Message){.op = OP_OK, .id = message->id}, NULL);
        return;
    }
    session_route_message(&route->route, message, block, false);
}

static void on_up(const Message *welcome, void *ctx) {
    (void)welcome;
    go_up(ctx);
}

static void on_down(bool was_up, const ferry_error *error, void *ctx) {
    ServerRoute *route = ctx;

    go_down(route);
    if (was_up)
        calls_route_down(route->route.core, &route->route, error);
    /* Another attempt would end the same way: the broker may name the server again. */
    if (link_state(route->route.link) == LINK_CLOSED)
        leave(route);
}

static void on_hello(Message *hello, Buffer *buffer, void *ctx) {
    (void)hello;
    (void)buffer;
    (void)ctx;
}

static int open_link(ServerRoute *route, const Message *message) {
    LinkHandlers handlers = {.on_message = on_message,
                             .on_up = on_up,
                             .on_down = on_down,
                             .on_hello = on_hello,
                             .ctx = route};
    Span key = message->server.key;
    KeyPair *own = NULL;
    int r;

    r = link_new(&route->route.link, route->endpoint, "direct", &handlers, NULL);
    if (r == 0 && key.len == KEY_SIZE && !endpoint_list_is_local(link_brokers(route->route.link))) {
        r = key_pair_new(&own);
        if (r == 0)
            link_set_keys(route->route.link, own, key.data);
    }
    if (r == 0)
        r = direct_watch_fd(route->watch->direct, link_epoll_fd(route->route.link), route);
    if (r == 0) {
        link_set_client(route->route.link, message->server.ticket.data);
        link_limit_body(route->route.link, WIRE_BODY_MAX);
    }
    return r;
}

/* ---- routes ---- */

static void find_only(Direct *direct) {
    WatchedService *watch, *next;

    direct->only = NULL;
    HASH_ITER(hh, direct->watches, watch, next) {
        if (watch->routes && direct->n_routes == 1)
            direct->only = watch->routes;
    }
    direct_set_hot(direct);
}

static void route_free(ServerRoute *route) {
    WatchedService *watch = route->watch;

    go_down(route);
    route->is_leaving = true; /* its link may still report that it is up */
    DL_DELETE(watch->routes, route);
    watch->n_routes--;
    watch->direct->n_routes--;
    flows_wake_full(&route->route.full_flows);
    link_free(route->route.link);
    free(route->instance);
    free(route->endpoint);
    free(route);
    find_only(watch->direct);
}

static char *text_of(Span span) {
    return strndup(span.data ? (const char *)span.data : "", span.len);
}

static void route_new(WatchedService *watch, const Message *message) {
    Direct *direct = watch->direct;
    ServerRoute *route;

    if (direct->n_routes >= DIRECT_ROUTES_MAX || message->server.ticket.len != WIRE_TOKEN)
        return;
    route = calloc(1, sizeof(*route));
    if (!route)
        return;
    route->watch = watch;
    route->route.core = direct->core;
    route->server = message->server.server;
    route->endpoint = text_of(message->server.endpoint);
    route->instance = text_of(message->server.instance);
    DL_APPEND(watch->routes, route);
    watch->n_routes++;
    direct->n_routes++;
    if (!route->endpoint || !route->instance || strpbrk(route->endpoint, ",?") ||
        endpoint_problem(route->endpoint, ENDPOINT_CONNECT) || open_link(route, message) < 0) {
        route_free(route);
        return;
    }
    find_only(direct);
    link_process(route->route.link, 0, clock_ms());
}

/* Frees routes without calls that are of no more use. Call it when no route is being read. */
static void free_leavers(Direct *direct) {
    WatchedService *watch, *next;
    ServerRoute *route, *next_route;

    direct->has_leavers = false;
    HASH_ITER(hh, direct->watches, watch, next) {
        DL_FOREACH_SAFE(watch->routes, route, next_route) {
            if (!route->is_leaving)
                continue;
            if (route->route.n_calls == 0)
                route_free(route);
            else
                direct->has_leavers = true;
        }
    }
}

/* ---- messages of the broker ---- */

static WatchedService *find_watch(Direct *direct, Span service) {
    WatchedService *watch = direct->last;

    if (watch && watch->name_len == service.len &&
        memcmp(watch->name, service.data, service.len) == 0)
        return watch;
    HASH_FIND(hh, direct->watches, service.data, service.len, watch);
    if (watch)
        direct->last = watch;
    return watch;
}

void routes_server(Core *core, const Message *message, const void *block, bool later) {
    WatchedService *watch = find_watch(core->direct, message->name);
    ServerRoute *route;

    (void)block;
    (void)later;
    if (!watch)
        return;
    DL_FOREACH(watch->routes, route) {
        bool is_same = !route->is_old && route->server == message->server.server;

        if (message->server.endpoint.len == 0 && is_same) {
            leave(route);
            return;
        }
        /* Another session with the broker, and the same server. */
        if (route->is_old && !route->is_leaving &&
            span_is(message->server.endpoint, route->endpoint) &&
            message->server.ticket.len == WIRE_TOKEN) {
            route->is_old = false;
            route->server = message->server.server;
            link_set_client(route->route.link, message->server.ticket.data);
            return;
        }
    }
    if (message->server.endpoint.len > 0)
        route_new(watch, message);
}

static void on_not_returned(Timer *timer, void *ctx) {
    const WatchedService *watch = container_of(timer, WatchedService, returning);
    ServerRoute *route;

    (void)ctx;
    DL_FOREACH(watch->routes, route) {
        if (route->is_old)
            leave(route);
    }
}

/* The answer to WATCH follows the servers that there are. Servers whose connections are up may only
 * be later than this client at a broker that has started. */
static void on_watched(Core *core, Await *await, const Message *message, const void *block) {
    WatchedService *watch = container_of(await, WatchedService, await);
    ServerRoute *route;

    (void)block;
    await_take(core, await);
    if (!message)
        return; /* the session has ended */
    DL_FOREACH(watch->routes, route) {
        if (route->is_old && message->op == OP_OK && route->is_up)
            timer_arm(&core->timers, &watch->returning, clock_ms() + RETURN_MS, on_not_returned);
        else if (route->is_old)
            leave(route);
    }
}

static void ask(WatchedService *watch) {
    Core *core = watch->direct->core;
    ServerRoute *route;

    DL_FOREACH(watch->routes, route) {
        route->is_old = true;
    }
    await_take(core, &watch->await);
    timer_disarm(&core->timers, &watch->returning);
    watch->await = (Await){.fn = on_watched, .id = (*core->next_id)++, .session_only = true};
    if (await_put(core, &watch->await) < 0 ||
        link_put(core->link, LANE_CALLS,
                 &(Message){.op = OP_WATCH,
                            .id = watch->await.id,
                            .name = span_of(watch->name, watch->name_len)},
                 NULL) < 0)
        await_take(core, &watch->await);
}

void routes_up(Direct *direct) {
    WatchedService *watch, *next;

    HASH_ITER(hh, direct->watches, watch, next) {
        ask(watch);
    }
}

static WatchedService *watch_new(Direct *direct, Span service) {
    WatchedService *watch;

    if (direct->n_watches >= DIRECT_WATCHES_MAX)
        return NULL;
    watch = calloc(1, sizeof(*watch) + service.len + 1);
    if (!watch)
        return NULL;
    watch->direct = direct;
    watch->name_len = service.len;
    memcpy(watch->name, service.data, service.len);
    HASH_ADD_KEYPTR(hh, direct->watches, watch->name, watch->name_len, watch);
    if (!hash_added(watch)) {
        free(watch);
        return NULL;
    }
    direct->n_watches++;
    direct->last = watch;
    if (direct->core->is_up)
        ask(watch);
    return watch;
}

/* ---- choosing ---- */

static Route *of_instance(const WatchedService *watch, Span instance) {
    for (unsigned i = 0; i < watch->n_up; i++)
        if (span_is(instance, watch->up[i]->instance))
            return &watch->up[i]->route;
    return NULL;
}

Route *routes_choose(Core *core, Span service, Span instance) {
    Direct *direct = core->direct;
    WatchedService *watch = find_watch(direct, service);
    unsigned one, two;

    if (!watch)
        watch = watch_new(direct, service);
    /* A server may have left while the program did something else. */
    if (watch && watch->n_up > 0 && clock_about_ms() > direct->processed_ms + IDLE_MS)
        core_poll(core);
    if (!watch || watch->n_up == 0)
        return NULL;
    if (instance.len > 0)
        return of_instance(watch, instance);
    if (watch->n_up == 1)
        return &watch->up[0]->route;
    one = (unsigned)random_below(watch->n_up);
    two = (unsigned)random_below(watch->n_up - 1);
    two += two >= one;
    return watch->up[two]->route.n_calls < watch->up[one]->route.n_calls ? &watch->up[two]->route
                                                                         : &watch->up[one]->route;
}

/* ---- the loop ---- */

static int process(ServerRoute *route, uint64_t now_ms) {
    return link_process(route->route.link, TURN_MESSAGES, now_ms);
}

/* Processes only routes whose descriptors can be read or whose timers are due. */
static int process_some(Direct *direct, uint64_t now_ms) {
    struct epoll_event events[EVENTS_MAX];
    int n_events = epoll_wait(direct->epoll_fd, events, EVENTS_MAX, 0), n = 0;
    WatchedService *watch, *next;
    ServerRoute *route;

    for (int i = 0; i < n_events; i++)
        if (events[i].data.ptr)
            n += process(events[i].data.ptr, now_ms);
    HASH_ITER(hh, direct->watches, watch, next) {
        DL_FOREACH(watch->routes, route) {
            if (link_has_input(route->route.link) || link_next_ms(route->route.link) <= now_ms)
                n += process(route, now_ms);
        }
    }
    return n;
}

int routes_process(Direct *direct, uint64_t now_ms) {
    int n = 0;

    if (direct->n_routes == 0)
        return 0;
    direct->processed_ms = now_ms;
    if (direct->has_leavers && direct->busy == 0)
        free_leavers(direct);
    direct->busy++;
    if (direct->only)
        n = process(direct->only, now_ms);
    else if (direct->n_routes > 0)
        n = process_some(direct, now_ms);
    direct->busy--;
    return n;
}

void routes_flush(Direct *direct) {
    WatchedService *watch, *next;
    ServerRoute *route;

    if (direct->n_routes == 0)
        return;
    HASH_ITER(hh, direct->watches, watch, next) {
        DL_FOREACH(watch->routes, route) {
            link_flush(route->route.link);
            if (route->route.full_flows && link_has_room(route->route.link))
                flows_wake_full(&route->route.full_flows);
        }
    }
}

uint64_t routes_next_ms(const Direct *direct) {
    uint64_t next_ms = UINT64_MAX;
    const ServerRoute *route;
    WatchedService *watch, *next;

    if (direct->n_routes == 0)
        return next_ms;
    HASH_ITER(hh, direct->watches, watch, next) {
        DL_FOREACH(watch->routes, route) {
            uint64_t at_ms = link_next_ms(route->route.link);

            next_ms = at_ms < next_ms ? at_ms : next_ms;
        }
    }
    return next_ms;
}

bool routes_have_input(const Direct *direct) {
    const ServerRoute *route;
    WatchedService *watch, *next;

    if (direct->n_routes == 0)
        return false;
    HASH_ITER(hh, direct->watches, watch, next) {
        DL_FOREACH(watch->routes, route) {
            if (link_has_input(route->route.link))
                return true;
        }
    }
    return false;
}

void routes_free(Direct *direct) {
    WatchedService *watch, *next;

    HASH_ITER(hh, direct->watches, watch, next) {
        while (watch->routes)
            route_free(watch->routes);
        await_take(direct->core, &watch->await);
        timer_disarm(&direct->core->timers, &watch->returning);
        /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): links that uthash set */
        HASH_DEL(direct->watches, watch);
        free(watch->up);
        free(watch);
    }
    direct->last = NULL;
    direct->n_watches = 0;
}
