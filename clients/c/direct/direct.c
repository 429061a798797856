/* SPDX-License-Identifier: Apache-2.0 */
/* Direct calls as a part of the library. See direct-private.h. */

#include "clients/c/direct/direct-private.h"

#include <stdlib.h>
#include <unistd.h>

/* The program's own loop begins to wait. */
static void watch(Core *core) {
    direct_watch_loop(core->direct);
}

/* ---- as a server ---- */

static Flow **full_flows(Core *core, uint64_t id) {
    Endpoint *endpoint = core->direct->endpoint;
    const Inbound *inbound = endpoint ? id_map_get(&endpoint->calls, id) : NULL;

    return inbound ? &inbound->caller->full_flows : &core->full_flows;
}

static Span public_key(const Core *core) {
    const Endpoint *endpoint = core->direct->endpoint;

    return endpoint && endpoint->pair ? span_of(endpoint->pair->public_key, KEY_SIZE)
                                      : (Span){NULL, 0};
}

/* The member that runs the endpoint withdraws it for all members. */
static void withdraw(Core *core, Span service) {
    if (endpoint_of(core))
        endpoint_withdraw(core->direct->endpoint, service);
}

static bool is_withdrawn(const Core *core) {
    return !endpoint_of(core) || endpoint_is_withdrawn(core->direct->endpoint);
}

static const DirectOps ops = {
    .choose = routes_choose,
    .send = inbound_send,
    .full_flows = full_flows,
    .listen = endpoint_listen,
    .key = public_key,
    .withdraw = withdraw,
    .is_withdrawn = is_withdrawn,
};

/* ---- the core's view ---- */

static int init(Core *core) {
    core->direct = calloc(1, sizeof(*core->direct));
    if (!core->direct)
        return -ENOMEM;
    core->direct->core = core;
    core->direct->epoll_fd = -1;
    core->direct_ops = &ops;
    return 0;
}

static void shut(Core *core) {
    Direct *direct = core->direct;

    routes_free(direct);
    if (endpoint_of(core))
        direct->endpoint = endpoint_free(direct->endpoint);
    else if (direct->endpoint)
        endpoint_leave(direct);
}

static void free_part(Core *core) {
    if (!core->direct)
        return;
    shut(core);
    if (core->direct->epoll_fd >= 0)
        close(core->direct->epoll_fd);
    free(core->direct);
    core->direct = NULL;
}

static void up(Core *core, const Message *welcome) {
    (void)welcome;
    routes_up(core->direct);
    if (core->direct->endpoint)
        tallies_send(core->direct->endpoint);
}

static void down(Core *core, const ferry_error *reason, bool was_up) {
    (void)reason;
    if (was_up && core->direct->endpoint)
        callers_forget_tickets(core->direct->endpoint, core->direct);
}

/* The last counts. */
static void stop(Core *core) {
    if (core->direct->endpoint)
        tallies_send(core->direct->endpoint);
}

static int process(Core *core, uint64_t now_ms) {
    int n = routes_process(core->direct, now_ms);

    if (endpoint_of(core))
        n += endpoint_process(core->direct->endpoint, now_ms);
    return n;
}

static void flush(Core *core, uint64_t now_ms) {
    routes_flush(core->direct);
    if (endpoint_of(core))
        endpoint_flush(core->direct->endpoint, now_ms);
}

static uint64_t next_ms(const Core *core) {
    uint64_t routes_ms = routes_next_ms(core->direct), endpoint_ms = UINT64_MAX;

    if (endpoint_of(core))
        endpoint_ms = endpoint_next_ms(core->direct->endpoint);
    return routes_ms < endpoint_ms ? routes_ms : endpoint_ms;
}

static bool has_input(const Core *core) {
    return routes_have_input(core->direct) ||
           (endpoint_of(core) && hub_has_input(core->direct->endpoint->hub));
}

static bool is_due(const Core *core) {
    return endpoint_of(core) && endpoint_is_due(core->direct->endpoint);
}

static bool run(Core *core) {
    return endpoint_of(core) && endpoint_run(core->direct->endpoint);
}

const Part direct_part = {
    .init = init,
    .free = free_part,
    .up = up,
    .down = down,
    .is_due = is_due,
    .run = run,
    .watch = watch,
    .stop = stop,
    .shut = shut,
    .process = process,
    .flush = flush,
    .next_ms = next_ms,
    .has_input = has_input,
    .receivers = (const struct Receiver[]){{OP_SERVER, routes_server},
                                           {OP_TICKET, callers_ticket},
                                           {0, NULL}},
};
