/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The error of a value and its place: "args.range.low: expected i32, got str". The path is built
 * from the inside out after a failure, so that success costs nothing.
 */

#include <ferry/schema.h>

typedef struct ValueError {
    const char *type; /* type of the error; NULL: no error */
    size_t start;     /* the path begins here, and ends at the end of the array */
    char path[240];
    char text[200];
} ValueError;

static inline void value_error_init(ValueError *error) {
    error->type = NULL;
    error->start = sizeof(error->path);
}

/* Sets the error; a later error is ignored. Type NULL means ferry.InvalidArgument. */
void value_error_set(ValueError *error, const char *type, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Put a step in front of the path: ".low", "[3]". A path that is too long loses its beginning. */
void value_error_in_field(ValueError *error, const char *name);
void value_error_in_item(ValueError *error, size_t index);
void value_error_in_key(
    ValueError *error); /* the key of the entry that value_error_in_item() names */

/* Builds the error, its path beginning with root ("args"). Returns its code. */
int value_error_report(const ValueError *error, const char *root, ferry_error *reterr);

/* The name of a type in messages: "i32", "list", "calc.Range". */
const char *value_error_type_name(const ferry_type *type);
