/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Builds, copies and looks up errors. error.c has the table of the standard error types, with their
 * errno and the exit status of the command line.
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

/* All standard types; n receives their number. */
const ErrorType *error_types(size_t *n);
const ErrorType *error_type_by_name(const char *name); /* NULL: not a standard type */
/* Not NULL: ferry.Internal for an unknown code. */
const ErrorType *error_type_by_code(int code);

/* The parts of an error. error_build() copies all of them. */
typedef struct ErrorParts {
    const char *type;
    const char *message;
    const char *origin; /* NULL: unknown */
    size_t n_trace;
    const char *const *trace; /* "div at calc.c:12", innermost first */
    const ferry_error *cause; /* NULL: no cause */
    ferry_bytes data;         /* one MessagePack value: the fields of a declared exception */
    int64_t retry_ms;         /* -1: no advice */
    bool outcome_unknown;
} ErrorParts;

/* Clears and fills reterr, which may be NULL, and returns its code: the negative errno of a
 * standard type, -EREMOTEIO for any other type. If memory runs out, reterr gets a static error with
 * the same code. */
int error_build(ferry_error *reterr, const ErrorParts *parts);

/* Like error_build(), with a type and a message: `return error_set(reterr, "ferry.NoSuchService",
 * …);`. */
int error_set(ferry_error *reterr, const char *type, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
int error_setv(ferry_error *reterr, const char *type, const char *format, va_list args);

/* Like error_set(), with an errno (negative or positive) instead of a type. If format is NULL, the
 * message is the text of the errno's type. */
int error_set_code(ferry_error *reterr, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Clears `to` and moves the error from `from` into it. `from` is empty afterwards. */
void error_move(ferry_error *to, ferry_error *from);

/* Copies an error and returns its code. `to` may be NULL. */
int error_copy(ferry_error *to, const ferry_error *from);

/* The unpacked data of an error. It is stored in the error and freed with it. */
typedef struct ErrorValue {
    const void *type;  /* the table of the type that unpacked it */
    const void *block; /* NULL: not unpacked yet */
} ErrorValue;

/* The unpacked data; NULL: the error has no room for it. A copy of an error starts without unpacked
 * data. */
ErrorValue *error_value(const ferry_error *error);

/* The parts of an error, lent until the error is cleared. */
ErrorParts error_parts(const ferry_error *error);

/* Prints one error without its causes, as part of ferry_error_print(). */
void error_print_one(const ferry_error *error, FILE *to);

/* CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT; */
static inline void ferry_error_clearp(ferry_error *error) {
    ferry_error_clear(error);
}

#ifdef __clang_analyzer__
/* clang-tidy reads one file at a time: it learns here that these functions return negative codes.
 */
static inline int error_negative(int r) {
    if (r >= 0)
        __builtin_unreachable();
    return r;
}
#define error_set(...)      error_negative(error_set(__VA_ARGS__))
#define error_set_code(...) error_negative(error_set_code(__VA_ARGS__))
#endif
