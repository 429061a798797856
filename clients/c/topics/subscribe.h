/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Publishing, subscriptions, and answers to published questions. */

#include <ferry/topic.h>

#include "clients/c/core/core.h"

typedef struct Confirm Confirm;

struct TopicsPart {
    IdMap subscriptions;                /* by the id that messages carry */
    RecordList before_connect;          /* publishes that wait for the connection */
    Confirm *confirms, *ended_confirms; /* utlists: see confirm.h */
};

extern const Part topics_part;

/* Sends the publishes that waited for the connection. */
void before_connect_up(Core *core, const Message *welcome);

/* Calls fn with a borrowed message. reply: 0 unless the message is a question. */
void message_lend(Core *core, ferry_message_fn fn, void *ctx, const ferry_message *message,
                  uint64_t reply, Span headers);
