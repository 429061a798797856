/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * An error as JSON, for programs, with the same parts that ferry_error_print() prints for people.
 * Unknown parts are omitted.
 *
 *     {"type", "message", "origin", "trace": ["div at calc.c:12"], "data": {…}, "retry_ms",
 *      "outcome_unknown": true, "cause": {…}}
 */

#include <jansson.h>

#include <ferry/ferry.h>

/* NULL: out of memory. */
json_t *error_json_new(const ferry_error *error);
