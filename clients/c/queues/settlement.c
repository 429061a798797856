/* SPDX-License-Identifier: Apache-2.0 */
/* Waits for the confirmations of settlements that the program wants. See settlement.h. */

#include "clients/c/queues/settlement.h"

#include <stdlib.h>
#include <utlist.h>

#include "clients/c/core/loop.h"
#include "clients/c/core/session.h"
#include "clients/c/queues/work.h"

void settlement_free(Core *core, Settlement *settlement) {
    await_take(core, &settlement->await);
    DL_DELETE(core->jobs->settlements, settlement);
    free(settlement);
}

/* The callback runs in a turn; the answer may have come in a blocking call. */
void settlement_end(Core *core, Settlement *settlement, ferry_error *error) {
    await_take(core, &settlement->await);
    DL_DELETE(core->jobs->settlements, settlement);
    settlement->next = NULL;
    settlement->failed = error != NULL;
    if (error)
        error_move(&settlement->error, error);
    if (core->jobs->ended_settlements)
        core->jobs->last_ended_settlement->next = settlement;
    else
        core->jobs->ended_settlements = settlement;
    core->jobs->last_ended_settlement = settlement;
    core_raise(core);
}

void settlement_lost(ferry_error *ret) {
    error_set(ret, "ferry.ConnectionLost",
              "the connection was lost before the settlement was confirmed");
    ret->outcome_unknown = true;
}

void settlement_cancelled(ferry_error *ret) {
    error_set(ret, "ferry.Cancelled", "the client was closed before the settlement was confirmed");
    ret->outcome_unknown = true;
}

void settlement_hold(Core *core, Settlement *settlement) {
    DL_APPEND(core->jobs->settlements, settlement);
}

void settlement_let_go(Core *core, Settlement *settlement) {
    DL_DELETE(core->jobs->settlements, settlement);
}

void settlement_send(Core *core, Settlement *settlement, Message *message) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    int r;

    message->id = settlement->await.id = *core->next_id;
    settlement->job = message->settle.job;
    settlement->attempt = message->settle.attempt;
    r = await_put(core, &settlement->await);
    if (r == 0) {
        (*core->next_id)++;
        r = core_send(core, LANE_CALLS, message, NULL);
    } else {
        settlement->await.id = 0;
    }
    if (r == 0)
        return;
    error_set_code(&error, r, NULL);
    settlement_end(core, settlement, &error);
}

/* ---- callbacks ---- */

static bool is_due(const Core *core) {
    return core->jobs->ended_settlements != NULL;
}

static bool run(Core *core) {
    bool is_busy = is_due(core);
    Settlement *settlement;

    while ((settlement = core->jobs->ended_settlements)) {
        core->jobs->ended_settlements = settlement->next;
        settlement->fn(settlement->failed ? &settlement->error : NULL, settlement->ctx);
        ferry_error_clear(&settlement->error);
        free(settlement);
    }
    return is_busy;
}

static bool is_unconfirmed(const Core *core) {
    return core->jobs->settlements != NULL;
}

/* The link was freed: no answer can arrive. */
static void shut(Core *core) {
    while (core->jobs->settlements) {
        CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;

        settlement_cancelled(&error);
        settlement_end(core, core->jobs->settlements, &error);
    }
}

const Part settlements_part = {
    .is_due = is_due,
    .run = run,
    .is_unconfirmed = is_unconfirmed,
    .shut = shut,
};
