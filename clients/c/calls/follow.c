/* SPDX-License-Identifier: Apache-2.0 */
/* Calls about a queue at another broker. See follow.h. */

#include "clients/c/calls/follow.h"

#include "clients/c/brokers/brokers.h"
#include "clients/c/resend/moved.h"

/* Only the broker's own answers count: other services may pass on an error of that type. */
static bool is_for_broker(const PendingCall *call) {
    Message message;

    if (!call->record || call->is_streaming || call->flags & CALL_ONEWAY)
        return false;
    record_read(call->record, &message);
    return span_is(message.name, "ferry.Broker");
}

bool call_follows(Core *core, PendingCall *call, const Message *answer, uint64_t *ret_pause_ms) {
    Route *via = NULL;
    uint64_t pause_ms;
    Moved moved;
    Owner owner;

    if (!core->brokers || !moved_read(answer, &moved) || !is_for_broker(call))
        return false;
    owner = brokers_find_owner(core, moved.broker, moved.url, &via);
    /* A broker that is named for the first time gets the call at once. */
    pause_ms = owner != OWNER_AWAY && call->n_moved == 0 ? 0 : moved_pause_ms(call->n_moved);
    if (owner == OWNER_UNLISTED || clock_ms() + pause_ms >= call->deadline_ms)
        return false;
    call->via = via;
    core->n_carried += call->n_moved == 0;
    call->n_moved++;
    *ret_pause_ms = pause_ms;
    return true;
}

void call_stop_following(Core *core, PendingCall *call) {
    core->n_carried -= call->n_moved > 0;
    call->n_moved = 0;
}
