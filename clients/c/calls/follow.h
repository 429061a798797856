/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Calls of ferry.Broker about a queue or a job at another broker: they go there. */

#include "clients/c/calls/call.h"

/* True: the answer is ferry.Moved, and another attempt is due in *ret_pause_ms. call->via is the
 * way of this attempt. */
bool call_follows(Core *core, PendingCall *call, const Message *answer, uint64_t *ret_pause_ms);

/* The call ends: it no longer follows its queue. */
void call_stop_following(Core *core, PendingCall *call);
