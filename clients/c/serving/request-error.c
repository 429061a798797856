/* SPDX-License-Identifier: Apache-2.0 */

/* Error answers to requests: builds them, and leaves out details that the caller must not see. See
 * request.h. */

#include <stdlib.h>
#include <unistd.h>

#include "base/buffer.h"
#include "clients/c/core/session.h"
#include "clients/c/serving/request.h"
#include "rpc/schema/remote-error.h"

static int answer_error(Request *request, const ferry_error *error) {
    CLEANUP(buffer_deinit) Buffer map = {0};

    if (remote_error_write(&map, error) < 0)
        return -ENOMEM;
    return request_answer_error(request, span_of(map.data, map.len), error);
}

static void write_origin(char *to, size_t size, const Request *request) {
    char host[65] = "";

    gethostname(host, sizeof(host) - 1);
    snprintf(to, size, "%s on %s/%d", request->request.method, host, getpid());
}

/* Returns the given cause, else the cause that ferry_request_because() set; NULL: no cause. */
static const ferry_error *cause_of(const Request *request, const ferry_error *given) {
    if (!given || !given->type)
        given = request->because;
    return given && given->type ? given : NULL;
}

static int answer_parts(Request *request, ErrorParts parts) {
    ferry_error error = FERRY_ERROR_INIT;
    char origin[NAME_MAX_LEN + 96];
    int r;

    parts.retry_ms = request->retry_ms;
    if (request->redact_errors) {
        parts.n_trace = 0;
        parts.cause = NULL;
    } else {
        write_origin(origin, sizeof(origin), request);
        parts.origin = origin;
        parts.cause = cause_of(request, parts.cause);
    }
    error_build(&error, &parts);
    r = answer_error(request, &error);
    ferry_error_clear(&error);
    return r;
}

int request_throw(Request *request, ThrowPlace place, const char *type, const char *message,
                  ferry_bytes data, const ferry_error *cause) {
    char line[320];
    const char *trace[] = {line};

    if (request->answered)
        return -EINVAL;
    /* Send the file name without its folders: they would reveal the build machine. */
    if (place.file && strrchr(place.file, '/'))
        place.file = strrchr(place.file, '/') + 1;
    snprintf(line, sizeof(line), "%s at %s:%d", place.func ? place.func : "?",
             place.file ? place.file : "?", place.line);
    return answer_parts(request, (ErrorParts){.type = type,
                                              .message = message,
                                              .n_trace = place.file ? 1 : 0,
                                              .trace = trace,
                                              .cause = cause,
                                              .data = data});
}

int request_reject(Request *request, const char *type, const char *message) {
    return request_throw(request, (ThrowPlace){0}, type, message, (ferry_bytes){NULL, 0, NULL},
                         NULL);
}

int ferry_request_throw_at(const char *file, int line, const char *func, ferry_request *request,
                           const char *type, const ferry_error *cause, const char *format, ...) {
    char message[1024] = "";
    va_list args;

    if (!request || !type || !*type)
        return -EINVAL;
    if (format) {
        va_start(args, format);
        vsnprintf(message, sizeof(message), format, args);
        va_end(args);
    }
    return request_throw(request_of(request), (ThrowPlace){file, line, func}, type, message,
                         (ferry_bytes){NULL, 0, NULL}, cause);
}

int ferry_request_fail_at(const char *file, int line, const char *func, ferry_request *request,
                          int code, const ferry_error *cause) {
    const ErrorType *type;
    bool tells_cause;

    if (!request)
        return -EINVAL;
    cause = cause_of(request_of(request), cause);
    if (code == 0)
        code = cause ? cause->code : -EIO;
    /* -EREMOTEIO means an exception that another interface declares. It is not declared in this
     * interface, so it is not passed on. */
    type = error_type_by_code(code == -EREMOTEIO ? -EIO : code);
    tells_cause = cause && !request_of(request)->redact_errors;
    return request_throw(request_of(request), (ThrowPlace){file, line, func}, type->name,
                         tells_cause ? cause->message : strerror(abs(code)),
                         (ferry_bytes){NULL, 0, NULL}, cause);
}

ferry_request *ferry_request_because(ferry_request *request, const ferry_error *cause) {
    Request *mine = request ? request_of(request) : NULL;

    if (!mine || mine->answered)
        return request;
    if (!mine->because)
        mine->because = calloc(1, sizeof(*mine->because));
    if (mine->because)
        error_copy(mine->because, cause ? cause : &(ferry_error)FERRY_ERROR_INIT);
    return request;
}

ferry_request *ferry_request_retry_after(ferry_request *request, uint32_t ms) {
    if (request && !request_of(request)->answered)
        request_of(request)->retry_ms = ms;
    return request;
}

void request_refuse(Core *core, uint64_t id, const char *type, const char *format, ...) {
    CLEANUP(buffer_deinit) Buffer map = {0};
    ferry_error error = FERRY_ERROR_INIT;
    va_list args;

    va_start(args, format);
    error_setv(&error, type, format, args);
    va_end(args);
    if (remote_error_write(&map, &error) == 0)
        core_send(core, id & STREAM_ID ? LANE_BULK : LANE_CALLS,
                  &(Message){.op = OP_ERROR, .id = id, .error.map = span_of(map.data, map.len)},
                  NULL);
    ferry_error_clear(&error);
}
