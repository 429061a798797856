/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Pushes that the library makes for itself. */

#include "clients/c/core/core.h"

/* Pushes a message (op PUSH, its id is set here). core is a leader, or has one broker. The push is
 * sent when there is room, and follows its queue. fn is called once, at any time, also outside of
 * turns. -EAGAIN: too many pushes are unconfirmed; -ENOMEM. */
int push_for_library(Core *core, Message *message, const void *block, ferry_done_fn fn, void *ctx);
