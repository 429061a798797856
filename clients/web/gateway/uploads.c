/* SPDX-License-Identifier: Apache-2.0 */
/* Calls that take items and have one result. See items.h. */

#include <stdlib.h>
#include <utlist.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "clients/web/gateway/call.h"
#include "clients/web/gateway/items.h"

enum {
    UPLOADS_BYTES_MAX = HTTP_BODIES_MAX, /* packed items of all uploads of one client */
    USUAL_TIMEOUT_MS = 30000,
};

typedef struct Upload {
    struct Upload *prev, *next; /* in web->uploads */
    Web *web;
    HttpRequest *request;
    ferry_client *handle;
    ferry_stream *stream;
    const ferry_description *description; /* kept */
    const ferry_method *method;
    ItemQueue items;
    uint64_t until_ms;
    uint32_t timeout_ms;
    bool text_integers;
} Upload;

static void upload_free(Upload *upload) {
    Web *web = upload->web;

    DL_DELETE(web->uploads, upload);
    web->upload_bytes -= upload->items.packed.len;
    items_deinit(&upload->items);
    ferry_stream_close(upload->stream);
    ferry_close(upload->handle);
    ferry_free(upload->description);
    free(upload);
}

static void fail(Upload *upload, const ferry_error *error) {
    unsigned status;
    json_t *problem = call_problem(upload->method, error, &status);

    if (status == 503)
        http_add_header(upload->request, "Retry-After", "1");
    http_reply_json(upload->request, status, problem);
    upload_free(upload);
}

static void finish(Upload *upload) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    const ferry_type *type = upload->method->result;
    ferry_bytes result = {NULL, 0, NULL};
    json_t *json = NULL;
    int r = ferry_stream_result(upload->stream, &result, &error);

    if (r == 0 && type && !(json = call_value(type, result, upload->text_integers, &error)))
        error.code = -EPROTO; /* an error of the server, not of the caller */
    if (error.code < 0) {
        fail(upload, &error);
        return;
    }
    if (json)
        http_reply_json(upload->request, 200, json);
    else
        http_reply_empty(upload->request, 204);
    upload_free(upload);
}

static void on_change(ferry_stream *stream, void *ctx) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    Upload *upload = ctx;
    size_t before = upload->items.at;
    ferry_bytes item;
    int r;

    items_send(&upload->items, stream);
    if (upload->items.at > before)
        upload->until_ms = clock_ms() + upload->timeout_ms;
    r = ferry_stream_next(stream, &item, &error);
    if (r == -EAGAIN && !ferry_error_origin(&error))
        return; /* the method works on the items */
    if (r < 0)
        fail(upload, &error);
    else
        finish(upload);
}

void upload_start(HttpRequest *request, const ItemCallOptions *options, ItemQueue *items) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    Web *web = http_ctx(request);
    Upload *upload = calloc(1, sizeof(*upload));
    int r = upload ? 0 : error_set_code(&error, -ENOMEM, NULL);

    if (r == 0 && web->upload_bytes + items->packed.len > UPLOADS_BYTES_MAX)
        r = error_set(&error, "ferry.Overloaded", "too many items wait to be sent: try again");
    if (r == 0)
        r = ferry_stream_open(options->handle, options->name, options->args, FERRY_SEND,
                              &upload->stream, &error);
    if (r < 0) {
        free(upload);
        ferry_close(options->handle);
        items_deinit(items);
        problem_reply(request, &error);
        return;
    }
    upload->web = web;
    upload->handle = options->handle;
    upload->request = request;
    upload->description = ferry_keep(options->description);
    upload->method = options->method;
    upload->items = *items;
    upload->timeout_ms = options->timeout_ms ? options->timeout_ms : USUAL_TIMEOUT_MS;
    upload->until_ms = clock_ms() + upload->timeout_ms;
    upload->text_integers = options->text_integers;
    web->upload_bytes += items->packed.len;
    DL_APPEND(web->uploads, upload);
    ferry_stream_watch(upload->stream, on_change, upload);
}

static void fail_with(Upload *upload, const char *type, const char *text) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;

    error_set(&error, type, "%s", text);
    error.outcome_unknown = true;
    fail(upload, &error);
}

void uploads_tick(Web *web, uint64_t now_ms) {
    Upload *upload, *next;

    DL_FOREACH_SAFE(web->uploads, upload, next) {
        if (now_ms >= upload->until_ms)
            fail_with(upload, "ferry.DeadlineExceeded",
                      "the method took no item and had no result");
    }
}

void uploads_end(Web *web) {
    Upload *upload, *next;

    DL_FOREACH_SAFE(web->uploads, upload, next) {
        fail_with(upload, "ferry.Cancelled", "ferry web ends");
    }
}
