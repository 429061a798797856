/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A question to the broker whose answer follows everything that was sent before. */

#include "clients/c/core/core.h"

/* Waits until the broker has handled everything that was sent before. 0, -ENOTCONN, -ECONNRESET,
 * -ETIMEDOUT, -ENOMEM. timeout_ms is what the error says when until_ms has passed. */
int core_ping(Core *core, uint64_t until_ms, uint32_t timeout_ms, ferry_error *reterr);
