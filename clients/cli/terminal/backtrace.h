/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Prints a remote error for people: the error, its service, the source lines, the fields of the
 * exception; then its causes, down to the root.
 */

#include <stdbool.h>
#include <stdio.h>

#include <ferry/schema.h>

/* type: the table of the outermost exception, for names of fields; NULL when unknown. */
void backtrace_print(const ferry_error *error, const ferry_type *type, bool colour, FILE *to);
