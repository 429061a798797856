/* SPDX-License-Identifier: Apache-2.0 */
/* POST /v1/call/SERVICE/METHOD, also for methods that yield items. */

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "clients/json/value.h"
#include "clients/web/gateway/call.h"
#include "clients/web/gateway/routes.h"

enum { TIMEOUT_MAX_MS = 3600000 };

/* A call that answers a request. */
typedef struct HttpCall {
    HttpRequest *request;
    bool text_integers;
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
    uint64_t n;
    bool text_integers;
} ItemStream;

static void free_items(void *ctx) {
    ItemStream *items = ctx;

    ferry_stream_close(items->stream);
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

static void on_stream(const ferry_description *description, const ferry_method *method,
                      const char *name, ferry_bytes args, void *ctx) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    HttpCall call = *(HttpCall *)ctx;
    Web *web = http_ctx(call.request);
    ItemStream *items = calloc(1, sizeof(*items));
    int r = items
                ? ferry_stream_open(web->client, name, args, FERRY_RECEIVE, &items->stream, &error)
                : error_set_code(&error, -ENOMEM, NULL);

    free(ctx);
    if (r < 0) {
        free(items);
        problem_reply(call.request, &error);
        return;
    }
    items->web = web;
    items->description = ferry_keep(description);
    items->method = method;
    items->text_integers = call.text_integers;
    items->http = http_stream_open(call.request, on_reader_gone, items);
    if (!items->http) {
        free_items(items);
        return;
    }
    http_stream_on_room(items->http, on_room);
    ferry_stream_watch(items->stream, on_items, items);
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
    ferry_bytes body = http_body(request);
    CallOptions options = {.text_integers = integers && strcmp(integers, "string") == 0};
    json_t *args = NULL;
    HttpCall *call;

    if (!read_deadline(request, &options.timeout_ms))
        return;
    pass_header(request, "Idempotency-Key", "idempotency-key", &options);
    options.is_idempotent = options.n_headers > 0;
    pass_header(request, "Traceparent", "traceparent", &options);
    pass_header(request, "Tracestate", "tracestate", &options);
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
    *call = (HttpCall){request, options.text_integers};
    call_start(http_ctx(request), http_part(request, 2), http_part(request, 3), args, &options,
               on_end, on_stream, call);
}
