/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* PING to the broker. Its answer shows that the broker has handled all earlier messages. */

#include "clients/c/core/core.h"

/* Waits until the broker has handled all messages that were sent before. 0, -ENOTCONN, -ECONNRESET,
 * -ETIMEDOUT, -ENOMEM. timeout_ms appears in the text of the error if until_ms passes. */
int core_ping(Core *core, uint64_t until_ms, uint32_t timeout_ms, ferry_error *reterr);
