/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Publishing, subscriptions, and answers to published questions. */

#include <ferry/topic.h>

#include "clients/c/core/core.h"

extern const Part topics_part;

/* The publishes that wait for the connection: before_connect_up() sends them, before_connect_free()
 * frees them unsent. */
void before_connect_up(Core *core, const Message *welcome);
void before_connect_free(Core *core);

/* Calls fn with a borrowed message. reply: 0 unless the message is a question. */
void message_lend(Core *core, ferry_message_fn fn, void *ctx, const ferry_message *message,
                  uint64_t reply, Span headers);
