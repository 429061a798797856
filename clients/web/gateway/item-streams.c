/* SPDX-License-Identifier: Apache-2.0 */
/* Calls that yield items, as server-sent events. See item-streams.h. */

#include "clients/web/gateway/item-streams.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "clients/web/gateway/call.h"

/* The items of a call, as events. The next item is taken only when the reader has received the
 * previous one, so that the server waits for a slow reader. */
typedef struct ItemStream {
    struct ItemStream *prev, *next; /* in web->item_streams */
    Web *web;
    HttpStream *http; /* NULL: the reader has disconnected */
    ferry_client *handle;
    ferry_stream *stream;
    const ferry_description *description; /* kept */
    const ferry_method *method;
    ItemQueue in; /* of a method that takes items, too */
    uint64_t n;
    uint64_t until_ms;   /* the server must send something by then; UINT64_MAX: no limit */
    uint32_t timeout_ms; /* 0: no limit */
    bool text_integers;
} ItemStream;

static void free_items(void *ctx) {
    ItemStream *items = ctx;

    DL_DELETE(items->web->item_streams, items);
    ferry_stream_close(items->stream);
    ferry_close(items->handle);
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

/* error NULL: the method has ended without an error. */
static void end(ItemStream *items, const ferry_error *error) {
    unsigned status;

    items->until_ms = UINT64_MAX;
    if (error)
        send_event(items, "problem", call_problem(items->method, error, &status));
    else
        send_event(items, "end", json_object());
    http_stream_close(items->http);
}

static void on_items(ferry_stream *stream, void *ctx) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    ItemStream *items = ctx;
    size_t sent = items->in.at;
    uint64_t n = items->n;
    ferry_bytes item;
    json_t *json;
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
    if (!items->http)
        return;
    if (r == 0 || (r < 0 && (r != -EAGAIN || ferry_error_origin(&error))))
        end(items, r < 0 ? &error : NULL);
    else if (r == 1 || !items->timeout_ms)
        items->until_ms = UINT64_MAX; /* the server waits for the reader */
    else if (items->n > n || items->in.at > sent || items->until_ms == UINT64_MAX)
        items->until_ms = clock_ms() + items->timeout_ms;
}

static void on_room(HttpStream *http, void *ctx) {
    ItemStream *items = ctx;

    (void)http;
    if (items->stream)
        ferry_stream_watch(items->stream, on_items, items); /* also calls on_items() once, soon */
}

void item_stream_start(HttpRequest *request, const ItemCallOptions *options, ItemQueue *in) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    Web *web = http_ctx(request);
    ItemStream *items = calloc(1, sizeof(*items));
    unsigned directions =
        FERRY_RECEIVE | (options->method->flags & FERRY_STREAM_IN ? FERRY_SEND : 0);
    int r = items ? ferry_stream_open(options->handle, options->name, options->args, directions,
                                      &items->stream, &error)
                  : error_set_code(&error, -ENOMEM, NULL);

    if (r < 0) {
        free(items);
        ferry_close(options->handle);
        items_deinit(in);
        problem_reply(request, &error);
        return;
    }
    items->web = web;
    items->handle = options->handle;
    items->description = ferry_keep(options->description);
    items->method = options->method;
    items->in = *in;
    items->text_integers = options->text_integers;
    items->timeout_ms = options->timeout_ms;
    items->until_ms = options->timeout_ms ? clock_ms() + options->timeout_ms : UINT64_MAX;
    DL_APPEND(web->item_streams, items);
    items->http = http_stream_open(request, on_reader_gone, items);
    if (!items->http) {
        free_items(items);
        return;
    }
    http_stream_on_room(items->http, on_room);
    ferry_stream_watch(items->stream, on_items, items);
}

void item_streams_tick(Web *web, uint64_t now_ms) {
    ItemStream *items;

    DL_FOREACH(web->item_streams, items) {
        CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;

        if (!items->http || now_ms < items->until_ms)
            continue;
        error_set(&error, "ferry.DeadlineExceeded", "the method sent nothing within %u ms",
                  items->timeout_ms);
        end(items, &error);
    }
}
