/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Publishes that the program wants to be told of: those with a callback, and retained ones. */

#include <ferry/topic.h>

#include "clients/c/core/core.h"

typedef struct Confirm Confirm;

/* Expects the answer to a publish with the next id of the core. fn NULL: a failure is for
 * ferry_flush(). -EAGAIN: too many wait; -ENOMEM. */
int confirm_new(Core *core, ferry_done_fn fn, void *ctx, Confirm **ret);
/* The publish was not sent after all: no callback follows. */
void confirm_drop(Core *core, Confirm *confirm);

/* Parts of topics_part. */
void confirms_down(Core *core, const ferry_error *reason, bool was_up);
bool confirms_due(const Core *core);
bool confirms_run(Core *core);
bool confirms_wait(const Core *core);
void confirms_shut(Core *core);
