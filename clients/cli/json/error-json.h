/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* An error as JSON, for `--json`: the content of ferry_error_print(). */

#include <jansson.h>

#include <ferry/ferry.h>

/* {"type", "message", "origin", "trace", "data", "retry_ms", "outcome_unknown", "cause"}; unknown
 * parts are omitted. NULL: out of memory. */
json_t *error_to_json(const ferry_error *error);
