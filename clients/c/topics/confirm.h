/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Confirmed publishes: publishes with a callback, publishes with the option `confirm`, and retained
 * publishes. */

#include <ferry/topic.h>

#include "clients/c/topics/subscribe.h"

/* Registers for the answer to a publish whose id is the core's next id. fn NULL: ferry_flush()
 * reports a failure. 0; -EAGAIN: too many publishes wait for their confirmation; -ENOMEM. */
int confirm_new(Core *core, ferry_done_fn fn, void *ctx, Confirm **ret);
/* Removes the confirmation of a publish that could not be sent: no callback follows. */
void confirm_drop(Core *core, Confirm *confirm);

/* Functions for topics_part. */
void confirms_down(Core *core, const ferry_error *reason, bool was_up);
void confirms_left(Core *core, const ferry_error *reason);
bool confirms_due(const Core *core);
bool confirms_run(Core *core);
bool confirms_wait(const Core *core);
void confirms_shut(Core *core);
