/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A connection other than the client's own one to a broker, for some of its messages: to a server,
 * for direct calls (direct/), or of a member, for its leader's messages about a queue that the
 * member's broker has (brokers/).
 */

#include "clients/c/core/core.h"

struct Route {
    Core *core;
    Link *link;
    Core *member;     /* the member whose connection it is; NULL: it leads to a server */
    unsigned n_calls; /* calls that were sent through it and have no answer yet */
    Flow *full_flows; /* streams that wait for room in its outbox */
};

/* The functions of direct/ that the parts below call; core->direct_ops. */
struct DirectOps {
    /* ---- as a caller ---- */

    /* The route for a call of this service, or of this instance of it (len 0: any). NULL: the call
     * goes through the broker. */
    Route *(*choose)(Core *core, Span service, Span instance);

    /* ---- as a server: see DIRECT_ID ---- */

    /* Sends a message about a request to the caller that made it. -EAGAIN: an item has no room. */
    int (*send)(Core *core, Lane lane, const Message *message, const void *block);
    /* The list of the streams that wait for room for items of this request. */
    Flow **(*full_flows)(Core *core, uint64_t id);
    /* Listens on the endpoint, if it does not yet. ret_endpoint receives the endpoint as callers
     * reach it; it lasts as long as the client. */
    int (*listen)(Core *core, const char *endpoint, const char **ret_endpoint, ferry_error *reterr);
    /* The public key of the endpoints; empty: they have no key. */
    Span (*key)(const Core *core);
    /* Tells the direct callers of the service to send no more calls. */
    void (*withdraw)(Core *core, Span service);
    /* True: all of them have confirmed it. */
    bool (*is_withdrawn)(const Core *core);
};

/* A message that came through the route. later: the connection is being read in a blocking call. */
void session_route_message(Route *route, const Message *message, const void *block, bool later);
