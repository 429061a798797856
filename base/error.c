/* SPDX-License-Identifier: Apache-2.0 */

/* Errors: the table of standard types, and the tree behind a ferry_error. See error.h. */

#include "base/error.h"

#include <stdlib.h>

#include "base/cleanup.h"
#include "base/text.h"

/* Macros for clang-tidy: see error.h. */
#undef error_set
#undef error_set_code

/* One row for each type; docs/errors.md has the same table for people. If several types share an
 * errno, the errno maps to the first of them. */
static const ErrorType types[] = {
    {"ferry.InvalidArgument", EINVAL, 2, "an argument was refused"},
    {"ferry.Misuse", EINVAL, 2, "the library was used against its rules"},
    {"ferry.ConnectionLost", ECONNRESET, 3, "the connection to the broker was lost"},
    {"ferry.ServerLost", ECONNRESET, 7, "the server was lost during the call"},
    {"ferry.NotConnected", ENOTCONN, 3, "there is no connection to the broker"},
    {"ferry.PermissionDenied", EACCES, 4, "not allowed"},
    {"ferry.PermissionDenied", EPERM, 4, "not allowed"},
    {"ferry.DeadlineExceeded", ETIMEDOUT, 5, "the deadline passed"},
    {"ferry.NoSuchService", EHOSTUNREACH, 6, "no server offers this service"},
    {"ferry.NoSuchMethod", ENOSYS, 6, "the service has no such method"},
    {"ferry.NotFound", ENOENT, 6, "the object does not exist"},
    {"ferry.Internal", EIO, 7, "the server failed"},
    {"ferry.Overloaded", EBUSY, 8, "all servers are busy and the wait queue is full"},
    {"ferry.Full", ENOBUFS, 8, "a limit was reached"},
    {"ferry.TooBig", EMSGSIZE, 8, "larger than the limit"},
    {"ferry.LeaseLost", ESTALE, 8, "the job was delivered to another worker, or taken back"},
    {"ferry.AlreadyExists", EEXIST, 8, "it already exists"},
    {"ferry.Draining", ESHUTDOWN, 8, "the peer is shutting down"},
    {"ferry.Moved", EREMCHG, 8, "the queue is at another broker"},
    {"ferry.WouldBlock", EAGAIN, 8, "the operation would block: try again later"},
    {"ferry.Cancelled", ECANCELED, 1, "cancelled"},
    {"ferry.Protocol", EPROTO, 1, "the peer violated the protocol"},
    {"ferry.NoSession", EPROTO, 1, "the peer sent a message before HELLO"},
    {"ferry.Unsupported", EOPNOTSUPP, 1, "not supported"},
    {"ferry.Missed", EOVERFLOW, 1, "messages were missed"},
    {"ferry.OutOfMemory", ENOMEM, 1, "out of memory"},
    {"ferry.Forked", ECHILD, 1, "the client belongs to the parent process"},
};

enum { N_TYPES = sizeof(types) / sizeof(*types), INTERNAL = 11 };

struct ferry_error_detail {
    ferry_error cause;
    char *type, *message, *origin; /* in the same allocation */
    size_t n_trace;
    char **trace;
    ferry_bytes data;
    ErrorValue value;
    int64_t retry_ms;
};

const ErrorType *error_types(size_t *n) {
    *n = N_TYPES;
    return types;
}

const ErrorType *error_type_by_name(const char *name) {
    for (size_t i = 0; i < N_TYPES; i++)
        if (strcmp(types[i].name, name) == 0)
            return &types[i];
    return NULL;
}

const ErrorType *error_type_by_code(int code) {
    code = code < 0 ? -code : code;
    for (size_t i = 0; i < N_TYPES; i++)
        if (types[i].code == code)
            return &types[i];
    return &types[INTERNAL];
}

static ferry_error_detail *detail_new(const ErrorParts *parts) {
    size_t size = sizeof(ferry_error_detail) + parts->n_trace * sizeof(char *);
    ferry_error_detail *detail;
    char *at;

    size += text_size(parts->type) + text_size(parts->message) + text_size(parts->origin);
    for (size_t i = 0; i < parts->n_trace; i++)
        size += text_size(parts->trace[i]);
    size += parts->data.len;

    detail = malloc(size);
    if (!detail)
        return NULL;
    *detail = (ferry_error_detail){.retry_ms = parts->retry_ms, .n_trace = parts->n_trace};
    if (parts->cause)
        error_copy(&detail->cause, parts->cause);
    detail->trace = (char **)(detail + 1);
    at = (char *)(detail->trace + parts->n_trace);
    detail->type = text_put(&at, parts->type);
    detail->message = text_put(&at, parts->message);
    detail->origin = text_put(&at, parts->origin);
    for (size_t i = 0; i < parts->n_trace; i++)
        detail->trace[i] = text_put(&at, parts->trace[i]);
    if (parts->data.len > 0) {
        memcpy(at, parts->data.data, parts->data.len);
        detail->data = ferry_bytes_of(at, parts->data.len);
    }
    return detail;
}

int error_build(ferry_error *reterr, const ErrorParts *parts) {
    const ErrorType *standard = error_type_by_name(parts->type);
    int code = standard ? -standard->code : -EREMOTEIO;
    ErrorParts complete = *parts;
    ferry_error fresh = {code, parts->outcome_unknown, parts->type, NULL, NULL};

    if (!reterr)
        return code;
    if (!complete.message)
        complete.message = standard ? standard->text : "";
    fresh.detail = detail_new(&complete);
    if (fresh.detail) {
        fresh.type = fresh.detail->type;
        fresh.message = fresh.detail->message;
    } else {
        fresh.type = standard ? standard->name : "ferry.OutOfMemory";
        fresh.message = "out of memory while building an error";
    }
    ferry_error_clear(reterr);
    *reterr = fresh;
    return code;
}

int error_setv(ferry_error *reterr, const char *type, const char *format, va_list args) {
    char message[1024];

    if (format)
        vsnprintf(message, sizeof(message), format, args);
    return error_build(
        reterr, &(ErrorParts){.type = type, .message = format ? message : NULL, .retry_ms = -1});
}

int error_set(ferry_error *reterr, const char *type, const char *format, ...) {
    va_list args;
    int r;

    va_start(args, format);
    r = error_setv(reterr, type, format, args);
    va_end(args);
    return r;
}

int error_set_code(ferry_error *reterr, int code, const char *format, ...) {
    const ErrorType *type = error_type_by_code(code);
    va_list args;

    code = code < 0 ? code : -code;
    if (!format) {
        char text[128];
        const char *said = strerror_r(-code, text, sizeof(text));

        error_set(reterr, type->name, "%s", said);
    } else {
        va_start(args, format);
        error_setv(reterr, type->name, format, args);
        va_end(args);
    }
    if (reterr)
        reterr->code = code;
    return code;
}

void ferry_error_clear(ferry_error *error) {
    if (!error)
        return;
    while (error->detail) {
        ferry_error_detail *detail = error->detail;

        /* Free the chain of causes in a loop, not by recursion: it may be long. */
        error->detail = detail->cause.detail;
        ferry_free(detail->value.block);
        free(detail);
    }
    *error = (ferry_error)FERRY_ERROR_INIT;
}

void error_move(ferry_error *to, ferry_error *from) {
    if (to) {
        ferry_error_clear(to);
        *to = *from;
        *from = (ferry_error)FERRY_ERROR_INIT;
    } else {
        ferry_error_clear(from);
    }
}

ErrorValue *error_value(const ferry_error *error) {
    return error->detail ? &error->detail->value : NULL;
}

ErrorParts error_parts(const ferry_error *error) {
    const ferry_error_detail *detail = error->detail;
    ErrorParts parts = {.type = error->type,
                        .message = error->message,
                        .retry_ms = -1,
                        .outcome_unknown = error->outcome_unknown};

    if (detail) {
        parts.origin = detail->origin;
        parts.n_trace = detail->n_trace;
        parts.trace = (const char *const *)detail->trace;
        parts.cause = detail->cause.type ? &detail->cause : NULL;
        parts.data = detail->data;
        parts.retry_ms = detail->retry_ms;
    }
    return parts;
}

int error_copy(ferry_error *to, const ferry_error *from) {
    ErrorParts parts;

    if (!to)
        return from->code;
    if (!from->type) {
        ferry_error_clear(to);
        return 0;
    }
    parts = error_parts(from);
    error_build(to, &parts);
    to->code = from->code;
    return to->code;
}

const ferry_error *ferry_error_cause(const ferry_error *error) {
    return error && error->detail && error->detail->cause.type ? &error->detail->cause : NULL;
}

const char *ferry_error_origin(const ferry_error *error) {
    return error && error->detail ? error->detail->origin : NULL;
}

const char *ferry_error_trace(const ferry_error *error, size_t n) {
    return error && error->detail && n < error->detail->n_trace ? error->detail->trace[n] : NULL;
}

ferry_bytes ferry_error_data(const ferry_error *error) {
    return error && error->detail ? error->detail->data : (ferry_bytes){NULL, 0, NULL};
}

int64_t ferry_error_retry_ms(const ferry_error *error) {
    return error && error->detail ? error->detail->retry_ms : -1;
}

void error_print_one(const ferry_error *error, FILE *to) {
    const ferry_error_detail *detail = error->detail;

    fprintf(to, "%s: %s\n", error->type, error->message);
    if (detail && detail->origin)
        fprintf(to, "    in %s\n", detail->origin);
    for (size_t i = 0; detail && i < detail->n_trace; i++)
        fprintf(to, "    by %s\n", detail->trace[i]);
    if (detail && detail->retry_ms >= 0)
        fprintf(to, "    retry after %lld ms\n", (long long)detail->retry_ms);
    if (error->outcome_unknown)
        fprintf(to, "    sent, but not answered: it may have happened\n");
}

void ferry_error_print(const ferry_error *error, FILE *to) {
    for (const ferry_error *e = error; e && e->type; e = ferry_error_cause(e)) {
        if (e != error)
            fprintf(to, "caused by ");
        error_print_one(e, to);
    }
}
