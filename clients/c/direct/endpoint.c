/* SPDX-License-Identifier: Apache-2.0 */
/* The endpoint of a server: listening, reading, and whose call begins next. See direct-private.h.
 */

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>
#include <utlist.h>

#include "base/random.h"
#include "clients/c/direct/direct-private.h"
#include "rpc/address/endpoint.h"

enum {
    TURN_CALLS = 200, /* calls that begin in one turn */
    DRAIN_MS = 500,   /* longest wait for callers to confirm an UNSERVE: a program may be busy */
    LEAVING_MS = 200, /* longest wait of a close for bytes that are on their way */
};

/* ---- listening ---- */

/* The endpoint admits each key: the ticket in HELLO decides whether the caller may connect. */
static bool admits(const uint8_t key[KEY_SIZE], void *ctx) {
    (void)key;
    (void)ctx;
    return true;
}

static int make_keys(Endpoint *endpoint) {
    int r;

    if (!link_has_keys(endpoint->core->link))
        return 0;
    r = key_pair_new(&endpoint->pair);
    if (r < 0)
        return r;
    endpoint->keys =
        (CurveKeys){.is_server = true, .n_pairs = 1, .pairs = {endpoint->pair}, .admits = admits};
    return 0;
}

static int endpoint_new(Core *core, Endpoint **ret, ferry_error *reterr) {
    Endpoint *endpoint = calloc(1, sizeof(*endpoint));
    HubOptions options = {.max_body = WIRE_BODY_MAX,
                          .max_connections = DIRECT_CONNECTIONS_MAX,
                          .max_handshakes = 200,
                          .max_unfinished = DIRECT_UNPROVEN_MAX,
                          .ipc_mode = 0,
                          .beats = true,
                          .on_gone = callers_gone};
    int r;

    if (!endpoint)
        return error_set_code(reterr, -ENOMEM, NULL);
    endpoint->core = core;
    endpoint->budget.max = DIRECT_MEMORY;
    endpoint->budget.max_transfers = DIRECT_TRANSFERS;
    random_bytes(endpoint->id, sizeof(endpoint->id));
    r = make_keys(endpoint);
    if (r < 0)
        error_set_code(reterr, r, NULL);
    options.budget = &endpoint->budget;
    options.keys = &endpoint->keys;
    if (r == 0)
        r = hub_new(&endpoint->hub, &options, reterr);
    if (r == 0) {
        r = direct_watch_fd(core->direct, hub_fd(endpoint->hub), NULL);
        if (r < 0)
            error_set_code(reterr, r, NULL);
    }
    if (r < 0)
        endpoint_free(endpoint);
    else
        *ret = endpoint;
    return r;
}

/* The path may be relative to the folder of this process, but callers have other folders. */
static int absolute(const char *endpoint, char to[PATH_MAX], ferry_error *reterr) {
    const char *path = endpoint_path(endpoint);
    char folder[PATH_MAX / 2];

    if (!path || *path == '/') {
        snprintf(to, PATH_MAX, "%s", endpoint);
        return 0;
    }
    if (!getcwd(folder, sizeof(folder)))
        return error_set_code(reterr, -errno, NULL);
    snprintf(to, PATH_MAX, "ipc://%s/%s", folder, path);
    return 0;
}

static int listener_new(Endpoint *endpoint, const char *asked, ferry_error *reterr) {
    size_t size = strlen(asked) + 1;
    BoundUrl *listener = calloc(1, sizeof(*listener) + size);
    char full[PATH_MAX];
    int r;

    if (!listener)
        return error_set_code(reterr, -ENOMEM, NULL);
    memcpy(listener->asked, asked, size);
    r = absolute(asked, full, reterr);
    if (r == 0)
        r = hub_bind(endpoint->hub, full, listener->bound, reterr);
    if (r < 0)
        free(listener);
    else
        LL_PREPEND(endpoint->listeners, listener);
    return r;
}

static const char *find_bound(const Endpoint *endpoint, const char *asked) {
    const BoundUrl *listener;

    LL_FOREACH(endpoint->listeners, listener) {
        if (strcmp(listener->asked, asked) == 0 || strcmp(listener->bound, asked) == 0)
            return listener->bound;
    }
    return NULL;
}

/* Shares the endpoint of the member that has one. */
static void share(Core *core) {
    const Core *leader = core->leader, *first = core;

    for (unsigned i = 0; leader && i < leader->n_members; i++)
        if (leader->members[i]->has_endpoint)
            first = leader->members[i];
    if (first == core || core->direct->endpoint || !first->direct->endpoint)
        return;
    core->direct->endpoint = first->direct->endpoint;
    core->direct->next_sharer = core->direct->endpoint->sharers;
    core->direct->endpoint->sharers = core->direct;
}

void endpoint_leave(Direct *sharer) {
    Endpoint *endpoint = sharer->endpoint;
    Direct **at = &endpoint->sharers;

    tallies_forget(endpoint, sharer);
    callers_forget_member(endpoint, sharer);
    while (*at != sharer)
        at = &(*at)->next_sharer;
    *at = sharer->next_sharer;
    sharer->endpoint = NULL;
}

int endpoint_listen(Core *core, const char *asked, const char **ret, ferry_error *reterr) {
    const char *problem = endpoint_problem(asked, ENDPOINT_BIND);
    Endpoint *endpoint;
    int r;

    share(core);
    endpoint = core->direct->endpoint;

    if (problem || endpoint_after_transport(asked) != asked)
        return error_set(reterr, "ferry.Misuse",
                         "cannot listen on '%s', which is not an endpoint: %s", asked,
                         problem ? problem : "it is tcp://HOST:PORT or ipc://PATH");
    if (endpoint && (*ret = find_bound(endpoint, asked)))
        return 0;
    if (!endpoint) {
        r = endpoint_new(core, &endpoint, reterr);
        if (r < 0)
            return r;
        core->direct->endpoint = endpoint;
        core->has_endpoint = true;
    }
    direct_set_hot(endpoint->core->direct);
    r = listener_new(endpoint, asked, reterr);
    if (r < 0)
        return r;
    *ret = endpoint->listeners->bound;
    return 0;
}

/* ---- the end ---- */

/* Answers that are on their way still arrive. */
static void say_goodbye(Endpoint *endpoint) {
    uint64_t until_ms = clock_ms() + LEAVING_MS, now_ms;
    Caller *caller;

    hub_flush(endpoint->hub);
    DL_FOREACH(endpoint->callers, caller) {
        caller_end(caller, "closed");
    }
    hub_flush(endpoint->hub);
    while (endpoint->callers && (now_ms = clock_ms()) < until_ms) {
        Peer *peer;
        const uint8_t *data;
        size_t len;

        hub_wait(endpoint->hub, -1, (int)(until_ms - now_ms) < 10 ? 1 : 10);
        while (hub_receive(endpoint->hub, &peer, &data, &len) > 0)
            continue;
        hub_flush(endpoint->hub);
    }
}

Endpoint *endpoint_free(Endpoint *endpoint) {
    BoundUrl *listener, *next;

    if (!endpoint)
        return NULL;
    endpoint->busy++;
    while (endpoint->sharers)
        endpoint_leave(endpoint->sharers);
    if (endpoint->hub)
        say_goodbye(endpoint);
    callers_free(endpoint);
    tallies_free(endpoint);
    hub_free(endpoint->hub);
    LL_FOREACH_SAFE(endpoint->listeners, listener, next) {
        free(listener);
    }
    id_map_deinit(&endpoint->calls);
    key_pair_free(endpoint->pair);
    free(endpoint);
    return NULL;
}

/* ---- reading and sending ---- */

int endpoint_process(Endpoint *endpoint, uint64_t now_ms) {
    const uint8_t *data;
    size_t len;
    Peer *peer;
    int n = 0;

    (void)now_ms;
    if (endpoint->busy > 0)
        return 0;
    endpoint->now_us = clock_us();
    endpoint->busy++;
    hub_wait(endpoint->hub, -1, 0);
    while (hub_receive(endpoint->hub, &peer, &data, &len) > 0)
        n += callers_batch(endpoint, peer, data, len);
    endpoint->busy--;
    endpoint->is_dirty = true;
    return n;
}

void endpoint_flush(Endpoint *endpoint, uint64_t now_ms) {
    Caller *caller;

    if (endpoint->busy > 0 ||
        (!endpoint->is_dirty && (now_ms == 0 || hub_next_ms(endpoint->hub) > now_ms)))
        return;
    endpoint->busy++;
    endpoint->is_dirty = false;
    hub_flush(endpoint->hub);
    DL_FOREACH(endpoint->callers, caller) {
        if (caller->full_flows && outbox_bytes(&caller->peer->out) <= DIRECT_ROOM / 2)
            flows_wake_full(&caller->full_flows);
    }
    endpoint->busy--;
}

/* ---- whose turn it is ---- */

/* True: its service was full, and no request has been answered since. */
static bool is_full(const Caller *caller) {
    return caller->n_requests_when_full > 0 &&
           caller->endpoint->core->n_requests >= caller->n_requests_when_full;
}

static Caller *next_caller(const Endpoint *endpoint) {
    Caller *caller;

    DL_FOREACH2(endpoint->crowd, caller, crowd_next) {
        if (!is_full(caller))
            return caller;
    }
    return NULL;
}

bool endpoint_is_due(const Endpoint *endpoint) {
    return next_caller(endpoint) != NULL;
}

bool endpoint_run(Endpoint *endpoint) {
    Core *core = endpoint->core;
    unsigned n = 0;
    Caller *caller;

    while (!core->closed && n < TURN_CALLS && (caller = next_caller(endpoint))) {
        /* The caller may have cancelled the call while a handler computed. */
        if (core->ran_long) {
            core->ran_long = false;
            core_poll(core);
            core->now_ms = clock_ms();
            continue;
        }
        /* Callers take turns. */
        if (caller->crowd_next) {
            DL_DELETE2(endpoint->crowd, caller, crowd_prev, crowd_next);
            DL_APPEND2(endpoint->crowd, caller, crowd_prev, crowd_next);
        }
        inbound_begin(caller);
        n++;
    }
    return n > 0;
}

/* ---- leaving ---- */

void endpoint_withdraw(Endpoint *endpoint, Span service) {
    Caller *caller;

    endpoint->drain_ends_ms = clock_ms() + DRAIN_MS;
    DL_FOREACH(endpoint->callers, caller) {
        const Ticket *ticket = caller->ticket;

        if (!ticket || ticket->service_len != service.len || caller->drain_id ||
            memcmp(ticket->service, service.data, service.len) != 0)
            continue;
        caller->drain_id = ++endpoint->last_drain_id;
        peer_put(caller->peer, LANE_CALLS,
                 &(Message){.op = OP_UNSERVE, .id = caller->drain_id, .name = service}, NULL);
        endpoint->is_dirty = true;
    }
}

bool endpoint_is_withdrawn(const Endpoint *endpoint) {
    bool may_wait = clock_ms() < endpoint->drain_ends_ms;
    const Caller *caller;

    DL_FOREACH(endpoint->callers, caller) {
        if ((caller->drain_id && may_wait) || caller->waiting)
            return false;
    }
    return true;
}

uint64_t endpoint_next_ms(const Endpoint *endpoint) {
    uint64_t hub_ms = hub_next_ms(endpoint->hub), ends_ms = endpoint->drain_ends_ms;

    return ends_ms > clock_ms() && ends_ms < hub_ms ? ends_ms : hub_ms;
}
