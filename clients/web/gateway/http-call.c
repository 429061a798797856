/* SPDX-License-Identifier: Apache-2.0 */
/* POST /v1/call/SERVICE/METHOD, also for methods that take or yield items. */

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "clients/json/value.h"
#include "clients/web/gateway/call.h"
#include "clients/web/gateway/item-streams.h"
#include "clients/web/gateway/routes.h"

enum { TIMEOUT_MAX_MS = 3600000 };

/* A call that answers a request. */
typedef struct HttpCall {
    HttpRequest *request;
    ferry_bytes lines; /* the lines with items; they live as long as the request */
    uint32_t timeout_ms;
    bool has_lines, text_integers;
} HttpCall;

static void on_end(unsigned status, json_t *json, const ferry_error *error, void *ctx) {
    HttpRequest *request = ((HttpCall *)ctx)->request;

    (void)error;
    free(ctx);
    if (status == 503)
        http_add_header(request, "Retry-After", "1");
    if (json)
        http_reply_json(request, status, json);
    else
        http_reply_empty(request, status);
}

/* ---- streams ---- */

/* The items of the request, for the method. False: the request is answered. */
static bool read_items(const HttpCall *call, const ferry_method *method, ItemQueue *items) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;

    if (method->flags & FERRY_STREAM_IN && !call->has_lines) {
        http_reply_problem(call->request, 415, "ferry.Unsupported",
                           "'%s' takes a stream: send application/x-ndjson, with the arguments in "
                           "the first line and an item in each other",
                           method->name);
        return false;
    }
    if (items_pack(method->stream_in, call->lines, items, &error) == 0)
        return true;
    items_deinit(items);
    problem_reply(call->request, &error);
    return false;
}

static void on_stream(const ferry_description *description, const ferry_method *method,
                      const char *name, ferry_bytes args, ferry_client *handle, void *ctx) {
    HttpCall call = *(HttpCall *)ctx;
    ItemQueue items = {0};
    ItemCallOptions options = {.description = description,
                               .method = method,
                               .name = name,
                               .args = args,
                               .handle = handle,
                               .timeout_ms = call.timeout_ms ? call.timeout_ms : method->timeout_ms,
                               .text_integers = call.text_integers};

    free(ctx);
    if (!read_items(&call, method, &items))
        ferry_close(handle);
    else if (method->flags & FERRY_STREAM_OUT)
        item_stream_start(call.request, &options, &items);
    else
        upload_start(call.request, &options, &items);
}

/* ---- the request ---- */

/* Milliseconds of the header Ferry-Deadline-Ms. False: it is malformed, and the request is
 * answered. */
static bool read_deadline(HttpRequest *request, uint32_t *ret_ms) {
    const char *text = http_header(request, "Ferry-Deadline-Ms");
    uint64_t ms = 0;

    if (text && (text_parse_count(text, &ms) < 0 || ms < 1 || ms > TIMEOUT_MAX_MS)) {
        http_reply_problem(request, 400, "ferry.InvalidArgument",
                           "Ferry-Deadline-Ms: 1 to %d milliseconds", TIMEOUT_MAX_MS);
        return false;
    }
    *ret_ms = (uint32_t)ms;
    return true;
}

static void pass_header(HttpRequest *request, const char *http, const char *ferry,
                        CallOptions *to) {
    const char *value = http_header(request, http);

    if (value)
        to->headers[to->n_headers++] = (ferry_header){ferry, value};
}

void gateway_call(HttpRequest *request) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    const char *integers = http_header(request, "Ferry-Integers");
    ferry_bytes body = http_body(request), lines = {NULL, 0, NULL};
    bool has_lines = false;
    CallOptions options = {.service = http_part(request, 2),
                           .method = http_part(request, 3),
                           .text_integers = integers && strcmp(integers, "string") == 0,
                           .stream_fn = on_stream};
    HttpCall *call;

    if (!read_deadline(request, &options.timeout_ms))
        return;
    pass_header(request, "Idempotency-Key", "idempotency-key", &options);
    options.is_idempotent = options.n_headers > 0;
    pass_header(request, "Traceparent", "traceparent", &options);
    pass_header(request, "Tracestate", "tracestate", &options);
    if (guard_type_is(http_header(request, "Content-Type"), "application/x-ndjson")) {
        has_lines = true;
        body = items_first_line(body, &lines);
        options.has_items = lines.len > 0;
    }
    if (body.len == 0)
        options.args = json_array();
    else if (value_parse(body.data, body.len, "the body", &options.args, &error) < 0) {
        problem_reply(request, &error);
        return;
    }
    call = malloc(sizeof(*call));
    if (!options.args || !call) {
        json_decref(options.args);
        free(call);
        http_reply_problem(request, 503, "OutOfMemory", "out of memory");
        return;
    }
    *call = (HttpCall){request, lines, options.timeout_ms, has_lines, options.text_integers};
    web_call_start(http_ctx(request), &options, on_end, call);
}
