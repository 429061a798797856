#pragma once

/*
 * A remote error as a person reads it: what failed, where, by which line of whose source, with the
 * fields of the exception; then what caused it, down to the root.
 */

#include <stdbool.h>
#include <stdio.h>

#include <ferry/schema.h>

/* type: the table of the outermost exception, for the names in it; NULL when none is known. */
void backtrace_print(const ferry_error *error, const ferry_type *type, bool colour, FILE *to);
