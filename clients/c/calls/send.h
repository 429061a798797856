/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The connection that a call uses: the broker's, or a route straight to a server. */

#include "clients/c/calls/call.h"

/* Sends the call to a server if one takes direct calls, else to the broker. -ENOTCONN: there is
 * neither. */
int call_send(const ferry_client *client, PendingCall *call, Message *message, const void *block);

/* The call has ended, or starts again: it no longer counts among the calls of its route. */
void call_leave_route(PendingCall *call);

/* Sends a message of a call that was sent: to where the call went. -EAGAIN: there is no room. */
int call_put(Core *core, const PendingCall *call, Lane lane, const Message *message,
             const void *block);
/* The list of streams that wait for room there. */
Flow **call_full_flows(Core *core, const PendingCall *call);
