/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Publishing, subscriptions, and the answers to a question. */

#include <ferry/topic.h>

#include "clients/c/core/core.h"

extern const Part topics_part;

/* Publishes that waited for the connection: they leave; they are freed. */
void before_connect_up(Core *core);
void before_connect_free(Core *core);

/* Calls fn with a message that is lent. reply: 0 unless it is a question. */
void message_lend(Core *core, ferry_message_fn fn, void *ctx, const ferry_message *message,
                  uint64_t reply, Span headers);
