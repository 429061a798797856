/* SPDX-License-Identifier: Apache-2.0 */

/* Streams of events to a reader. See server.h. */

#include <stdlib.h>
#include <utlist.h>

#include "clients/web/http/server-private.h"

enum {
    QUIET_MS = 15000
}; /* after this time without an event, a comment is sent, to detect that a reader has disconnected
    */

struct HttpStream {
    HttpStream *prev, *next;
    HttpServer *server;
    struct MHD_Connection *connection;
    Buffer out;
    size_t at; /* of the first byte in out that the reader does not have */
    uint64_t sent_ms;
    bool is_suspended, is_closed;
    HttpStreamEndFn on_end, on_room;
    void *ctx;
};

static void wake(HttpStream *stream) {
    if (!stream->is_suspended)
        return;
    stream->is_suspended = false;
    MHD_resume_connection(stream->connection);
    stream->server->is_due = true;
}

/* Gives libmicrohttpd the next bytes. If there are no bytes, the connection is suspended until
 * there are some.
 */
static ssize_t give(void *ctx, uint64_t position, char *to, size_t max) {
    HttpStream *stream = ctx;
    size_t n = stream->out.len - stream->at;

    (void)position;
    if (n == 0 && stream->on_room) {
        stream->on_room(stream, stream->ctx);
        n = stream->out.len - stream->at;
    }
    if (n == 0 && (stream->is_closed || stream->server->is_closing))
        return MHD_CONTENT_READER_END_OF_STREAM;
    if (n == 0) {
        stream->is_suspended = true;
        MHD_suspend_connection(stream->connection);
        return 0;
    }
    n = n < max ? n : max;
    memcpy(to, stream->out.data + stream->at, n);
    stream->at += n;
    if (stream->at == stream->out.len)
        stream->at = stream->out.len = 0;
    return (ssize_t)n;
}

/* The reader has disconnected, or has received the whole stream. */
static void on_gone(void *ctx) {
    HttpStream *stream = ctx;

    DL_DELETE(stream->server->streams, stream);
    stream->server->n_streams--;
    if (stream->on_end)
        stream->on_end(stream, stream->ctx);
    buffer_deinit(&stream->out);
    free(stream);
}

HttpStream *http_stream_open(HttpRequest *request, HttpStreamEndFn on_end, void *ctx) {
    HttpServer *server = request->server;
    struct MHD_Response *response;
    HttpStream *stream;

    if (server->n_streams == HTTP_STREAMS_MAX) {
        http_add_header(request, "Retry-After", "5");
        http_reply_problem(request, 503, "Overloaded", "64 event streams are open already");
        return NULL;
    }
    stream = calloc(1, sizeof(*stream));
    response = stream ? MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, (size_t)16 * 1024, give,
                                                          stream, on_gone)
                      : NULL;
    if (!response) {
        free(stream);
        http_answer(request, 503, NULL, 0);
        return NULL;
    }
    *stream = (HttpStream){.server = server,
                           .connection = request->connection,
                           .sent_ms = server->now_ms,
                           .on_end = on_end,
                           .ctx = ctx};
    DL_APPEND(server->streams, stream);
    server->n_streams++;
    MHD_add_response_header(response, "Content-Type", "text/event-stream");
    MHD_add_response_header(response, "X-Accel-Buffering",
                            "no"); /* tells proxies to forward events at once */
    buffer_append(&stream->out, "retry: 1000\n\n", 13);
    http_answer(request, 200, response, UINT64_MAX);
    return stream;
}

static void put_line(Buffer *to, const char *key, const char *value, size_t len) {
    buffer_append(to, key, strlen(key));
    buffer_append(to, value, len);
    buffer_append(to, "\n", 1);
}

bool http_stream_send(HttpStream *stream, const char *event, const char *id, const char *data,
                      size_t len) {
    size_t before;

    if (stream->is_closed ||
        (stream->out.len > stream->at && stream->out.len - stream->at + len > HTTP_BACKLOG_MAX))
        return false;
    if (stream->at > 0) {
        stream->out.len -= stream->at;
        memmove(stream->out.data, stream->out.data + stream->at, stream->out.len);
        stream->at = 0;
    }
    before = stream->out.len;
    put_line(&stream->out, "event: ", event, strlen(event));
    if (id)
        put_line(&stream->out, "id: ", id, strlen(id));
    put_line(&stream->out, "data: ", data, len);
    buffer_append(&stream->out, "\n", 1);
    if (stream->out.failed) {
        stream->out.failed = false;
        stream->out.len = before;
        return false;
    }
    stream->sent_ms = stream->server->now_ms;
    wake(stream);
    return true;
}

bool http_stream_is_idle(const HttpStream *stream) {
    return stream->out.len == stream->at;
}

size_t http_stream_backlog(const HttpStream *stream) {
    return stream->out.len - stream->at;
}

void http_stream_on_room(HttpStream *stream, HttpStreamEndFn fn) {
    stream->on_room = fn;
}

void http_stream_close(HttpStream *stream) {
    stream->is_closed = true;
    wake(stream);
}

void http_streams_end(HttpServer *server) {
    HttpStream *stream;

    DL_FOREACH(server->streams, stream) wake(stream);
}

void http_streams_tick(HttpServer *server, uint64_t now_ms) {
    HttpStream *stream;

    DL_FOREACH(server->streams, stream) {
        if (now_ms - stream->sent_ms < QUIET_MS || !http_stream_is_idle(stream))
            continue;
        buffer_append(&stream->out, ":\n\n", 3);
        stream->sent_ms = now_ms;
        wake(stream);
    }
}
