#pragma once

/* Publishing, subscriptions, and the answers to a question. */

#include "clients/c/core/core.h"

void topic_message(Core *core, const Message *message, const void *block);
void topic_gap(Core *core, const Message *message);

/* Publishes that waited for the connection leave. */
void early_up(Core *core);

/* Calls fn with a message that is lent. reply: 0 unless it is a question. */
void message_lend(Core *core, ferry_message_fn fn, void *ctx, const ferry_message *message,
                  uint64_t reply, Span headers);
