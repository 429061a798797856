/* SPDX-License-Identifier: Apache-2.0 */
/* The connection that a call uses. See send.h. */

#include "clients/c/calls/send.h"

#include <errno.h>

#include "clients/c/core/loop.h"
#include "clients/c/core/route.h"
#include "clients/c/core/session.h"

/* Sends the call under a new id, through its route or, without one, to the broker. */
static int send_there(Core *core, PendingCall *call, Message *message, const void *block) {
    Route *route = call->await.route;
    int r;

    call->await.id = *core->next_id;
    r = await_put(core, &call->await);
    if (r < 0)
        return r;
    message->id = call->await.id;
    r = link_put(route ? route->link : core->link, LANE_CALLS, message, block);
    if (r < 0) {
        await_take(core, &call->await);
        return r;
    }
    (*core->next_id)++;
    if (route)
        route->n_calls++;
    call->state = CALL_SENT;
    call->attempts++;
    call->was_sent = true;
    return 0;
}

/* Oneway calls outlive their caller's session, so the broker keeps them. */
static Route *choose_route(const ferry_client *client, const PendingCall *call,
                           const Message *message) {
    if (call->via && call->via->member)
        return call->via;
    if (!call->is_direct || call->flags & CALL_ONEWAY)
        return NULL;
    return client->core->direct_ops->choose(client->core, message->name, message->call.instance);
}

int call_send(const ferry_client *client, PendingCall *call, Message *message, const void *block) {
    Core *core = client->core;

    call->await.route = choose_route(client, call, message);
    if (call->await.route) {
        uint64_t parent = message->call.parent;

        message->call.parent = 0; /* an id of the broker's */
        if (send_there(core, call, message, block) == 0)
            return 0;
        call->await.route = NULL;
        message->call.parent = parent;
    }
    return core->is_up ? send_there(core, call, message, block) : -ENOTCONN;
}

void call_leave_route(PendingCall *call) {
    if (call->await.route)
        call->await.route->n_calls--;
    call->await.route = NULL;
}

int call_put(Core *core, const PendingCall *call, Lane lane, const Message *message,
             const void *block) {
    const Route *route = call->await.route;
    int r = link_put(route ? route->link : core->link, lane, message, block);

    if (r == 0)
        core_sent(core);
    return r;
}

Flow **call_full_flows(Core *core, const PendingCall *call) {
    return call->await.route ? &call->await.route->full_flows : &core->full_flows;
}
