/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * ferry_error: built, copied, and looked up. The one table of standard error types, their errno and
 * the exit code of the command line is in error.c.
 */

#include <stdarg.h>

#include <ferry/base.h>

#include "base/cleanup.h"

typedef struct ErrorType {
    const char *name; /* "ferry.DeadlineExceeded" */
    int code;         /* ETIMEDOUT; positive */
    int exit_status;  /* of `ferry` */
    const char *text; /* the message, if the error has no other one */
} ErrorType;

/* All standard types; n receives how many. */
const ErrorType *error_types(size_t *n);
const ErrorType *error_type_by_name(const char *name); /* NULL: not a standard one */
const ErrorType *error_type_by_code(int code);         /* never NULL: ferry.Internal at worst */

/* The parts of an error. error_build() copies all of them. */
typedef struct ErrorParts {
    const char *type;
    const char *message;
    const char *origin; /* NULL: none */
    size_t n_trace;
    const char *const *trace; /* "div at calc.c:12", innermost first */
    const ferry_error *cause; /* NULL: none */
    ferry_bytes data;         /* one MessagePack value: the fields of a declared exception */
    int64_t retry_ms;         /* -1: no advice */
    bool outcome_unknown;
} ErrorParts;

/* Clears reterr, fills it, and returns its code: the type's errno, -EREMOTEIO for a type that is
 * not a standard one. reterr may be NULL. Out of memory: a static error of the same code. */
int error_build(ferry_error *reterr, const ErrorParts *parts);

/* As error_build() with a type and a message: `return error_set(reterr, "ferry.NoSuchService",
 * …);`. */
int error_set(ferry_error *reterr, const char *type, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
int error_setv(ferry_error *reterr, const char *type, const char *format, va_list args);

/* As error_set(), with an errno (negative or positive) instead of a type. format NULL: the text of
 * the errno. */
int error_set_code(ferry_error *reterr, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Clears to and moves from into it; from is empty afterwards. */
void error_move(ferry_error *to, ferry_error *from);

/* Returns from's code; to may be NULL. */
int error_copy(ferry_error *to, const ferry_error *from);

/* The unpacked data of an error; it is stored with the error and lives as long. */
typedef struct ErrorValue {
    const void *type;  /* the type's table that unpacked it */
    const void *block; /* freed with the error; NULL: not unpacked yet */
} ErrorValue;

/* NULL: the error has no place for it. A copy of an error begins without one. */
ErrorValue *error_value(const ferry_error *error);

/* The parts, lent until the error is cleared. */
ErrorParts error_parts(const ferry_error *error);

/* ferry_error_print() of one error, without its causes. */
void error_print_one(const ferry_error *error, FILE *to);

/* CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT; */
static inline void ferry_error_clearp(ferry_error *error) {
    ferry_error_clear(error);
}
