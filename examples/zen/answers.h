/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The handlers of zen.Zen: the same in every server. */

#include "zen.h"

/* Answers a request after a wait; NULL: the handler itself waits. Takes ownership of the deferred
 * request. */
typedef int later_fn(ferry_request *request, const char *answer, int32_t wait_ms);

int zen_offer(ferry_client *client, uint32_t slots, later_fn *later, ferry_error *reterr);
