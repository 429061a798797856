/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A settlement of a job whose confirmation the program wants. */

#include "clients/c/core/core.h"

struct Settlement {
    Await await;             /* first: an Await is a Settlement */
    Settlement *prev, *next; /* of core->jobs->settlements; or next alone, of the ended ones */
    ferry_done_fn fn;
    void *ctx;
    uint64_t job, attempt;
    bool failed;
    ferry_error error;
};

extern const Part settlements_part;

/* The settlement joins the list of the core, or leaves it. */
void settlement_hold(Core *core, Settlement *settlement);
void settlement_let_go(Core *core, Settlement *settlement);
/* Sends the message. The broker's answer ends the settlement, or a failure now. */
void settlement_send(Core *core, Settlement *settlement, Message *message);
/* error (NULL: it is confirmed) is moved. */
void settlement_end(Core *core, Settlement *settlement, ferry_error *error);
/* Frees a settlement that was not sent. */
void settlement_free(Core *core, Settlement *settlement);
/* The errors of a settlement without an answer: its session was lost, or the client closed. */
void settlement_lost(ferry_error *ret);
void settlement_cancelled(ferry_error *ret);
