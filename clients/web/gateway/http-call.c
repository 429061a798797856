/* SPDX-License-Identifier: Apache-2.0 */
/* POST /v1/call/SERVICE/METHOD, also for methods that take or yield items. */

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "clients/json/value.h"
#include "clients/web/gateway/call.h"
#include "clients/web/gateway/items.h"
#include "clients/web/gateway/routes.h"

enum { TIMEOUT_MAX_MS = 3600000, TIMEOUT_MS = 30000 };

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

/* The items of a call, as events. The next item is taken only when the reader has received the
 * previous one, so that the server waits for a slow reader. */
typedef struct ItemStream {
    Web *web;
    HttpStream *http; /* NULL: the reader has disconnected */
    ferry_stream *stream;
    const ferry_description *description; /* kept */
    const ferry_method *method;
    ItemQueue in; /* of a method that takes items, too */
    uint64_t n;
    bool text_integers;
} ItemStream;

static void free_items(void *ctx) {
    ItemStream *items = ctx;

    ferry_stream_close(items->stream);
    items_deinit(&items->in);
    ferry_free(items->description);
    free(items);
}

static void on_reader_gone(HttpStream *http, void *ctx) {
    ItemStream *items = ctx;

    (void)http;
    items->http = NULL;
    /* Free it later: this function is a callback of libmicrohttpd. */
    if (!items->web->client || ferry_post(items->web->client, free_items, items) < 0)
        free_items(items); /* at the end of the program */
}

static void send_event(ItemStream *items, const char *event, json_t *json) {
    char id[24], *text = json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY);

    snprintf(id, sizeof(id), "%" PRIu64, items->n);
    if (text)
        http_stream_send(items->http, event, id, text, strlen(text));
    free(text);
    json_decref(json);
}

static void on_items(ferry_stream *stream, void *ctx) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    ItemStream *items = ctx;
    ferry_bytes item;
    json_t *json;
    unsigned status;
    int r = 1; /* the reader has no room: on_room() continues */

    if (items->http && items->method->flags & FERRY_STREAM_IN)
        items_send(&items->in, stream);
    while (items->http && http_stream_backlog(items->http) < HTTP_BACKLOG_MAX / 4 &&
           (r = ferry_stream_next(stream, &item, &error)) == 1) {
        items->n++;
        json = call_value(items->method->stream_out, item, items->text_integers, &error);
        if (!json) {
            r = -EPROTO;
            break;
        }
        send_event(items, "item", json);
    }
    if (!items->http || r == 1 || r == -EAGAIN)
        return;
    if (r == 0)
        send_event(items, "end", json_object());
    else
        send_event(items, "problem", call_problem(items->method, &error, &status));
    http_stream_close(items->http);
}

static void on_room(HttpStream *http, void *ctx) {
    ItemStream *items = ctx;

    (void)http;
    if (items->stream)
        ferry_stream_watch(items->stream, on_items, items); /* also calls on_items() once, soon */
}

/* Answers with the items of a method. Takes the items that it gets. */
static void stream_start(const HttpCall *call, const UploadOptions *options, ItemQueue *in) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    Web *web = http_ctx(call->request);
    ItemStream *items = calloc(1, sizeof(*items));
    unsigned directions =
        FERRY_RECEIVE | (options->method->flags & FERRY_STREAM_IN ? FERRY_SEND : 0);
    int r = items ? ferry_stream_open(web->client, options->name, options->args, directions,
                                      &items->stream, &error)
                  : error_set_code(&error, -ENOMEM, NULL);

    if (r < 0) {
        free(items);
        items_deinit(in);
        problem_reply(call->request, &error);
        return;
    }
    items->web = web;
    items->description = ferry_keep(options->description);
    items->method = options->method;
    items->in = *in;
    items->text_integers = call->text_integers;
    items->http = http_stream_open(call->request, on_reader_gone, items);
    if (!items->http) {
        free_items(items);
        return;
    }
    http_stream_on_room(items->http, on_room);
    ferry_stream_watch(items->stream, on_items, items);
}

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
                      const char *name, ferry_bytes args, void *ctx) {
    HttpCall call = *(HttpCall *)ctx;
    ItemQueue items = {0};
    UploadOptions options = {.description = description,
                             .method = method,
                             .name = name,
                             .args = args,
                             .timeout_ms = call.timeout_ms      ? call.timeout_ms
                                           : method->timeout_ms ? method->timeout_ms
                                                                : TIMEOUT_MS,
                             .text_integers = call.text_integers};

    free(ctx);
    if (!read_items(&call, method, &items))
        return;
    if (method->flags & FERRY_STREAM_OUT)
        stream_start(&call, &options, &items);
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
    CallOptions options = {.text_integers = integers && strcmp(integers, "string") == 0,
                           .stream_fn = on_stream};
    json_t *args = NULL;
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
        args = json_array();
    else if (value_parse(body.data, body.len, "the body", &args, &error) < 0) {
        problem_reply(request, &error);
        return;
    }
    call = malloc(sizeof(*call));
    if (!args || !call) {
        json_decref(args);
        free(call);
        http_reply_problem(request, 503, "OutOfMemory", "out of memory");
        return;
    }
    *call = (HttpCall){request, lines, options.timeout_ms, has_lines, options.text_integers};
    web_call_start(http_ctx(request), http_part(request, 2), http_part(request, 3), args, &options,
                   on_end, call);
}
