/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Settlements of jobs: each job is acknowledged, retried, rejected or forwarded once. */

#include "clients/c/core/core.h"

extern const Part settlements_part;

/* ---- for forward.c: a settlement that somebody waits for ---- */

void settlement_hold(Core *core, Settlement *settlement);
/* Sends the message. The broker's answer ends the settlement, or a failure now. */
void settlement_send(Core *core, Settlement *settlement, Message *message);
/* error (NULL: it is confirmed) is moved. */
void settlement_end(Core *core, Settlement *settlement, ferry_error *error);
/* The errors of a settlement without an answer: its session was lost, or the client closed. */
void settlement_lost(ferry_error *ret);
void settlement_cancelled(ferry_error *ret);
