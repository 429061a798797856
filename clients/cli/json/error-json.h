#pragma once

/* An error as JSON, for `--json`: what ferry_error_print() tells a person. */

#include <jansson.h>

#include <ferry/ferry.h>

/* {"type", "message", "origin", "trace", "data", "retry_ms", "outcome_unknown", "cause"}: what is
 * not known is left out. NULL: out of memory. */
json_t *error_to_json(const ferry_error *error);
