/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A question to the broker whose answer follows everything that was sent before. */

#include "clients/c/core/core.h"

/* Waits until the broker has handled everything that was sent before. 0, -ENOTCONN, -ECONNRESET,
 * -ETIMEDOUT, -ENOMEM. */
int core_ping(Core *core, uint64_t until_ms, ferry_error *reterr);
