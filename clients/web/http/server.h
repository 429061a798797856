/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * An HTTP server on one thread: libmicrohttpd without threads of its own, inside the loop of the
 * caller. A handler answers at once, or keeps the request and answers it later, in a callback of a
 * ferry call: meanwhile libmicrohttpd has suspended the connection.
 *
 * Every quantity that a peer can grow has its limit here.
 */

#include <jansson.h>
#include <sys/socket.h>

#include <ferry/ferry.h>

#include "base/buffer.h"
#include "clients/web/http/guard.h"
#include "clients/web/http/path.h"

enum {
    HTTP_CONNECTIONS_MAX = 512,
    HTTP_HEAD_MAX = 32 * 1024,          /* request line and headers; more is refused with 431 */
    HTTP_BODY_MAX = 8 * 1024 * 1024,    /* of one request; more is refused with 413 */
    HTTP_BODIES_MAX = 64 * 1024 * 1024, /* of all requests together; more is refused with 503 */
    HTTP_REQUEST_MS = 30000,            /* to send a whole request, the wait before it included */
    HTTP_ANSWER_MS = 60000,             /* to read an answer, and one second more per 16 KiB */
    HTTP_STREAMS_MAX = 64,              /* event streams; more are refused with 503 */
    HTTP_BACKLOG_MAX = 1024 * 1024,     /* bytes that wait for the reader of an event stream */
};

typedef struct HttpServer HttpServer;
typedef struct HttpRequest HttpRequest;
typedef struct HttpStream HttpStream;

/* HttpRoute.flags */
enum {
    HTTP_ACTION = 1, /* changes the broker: needs the header Ferry-Request: 1 */
    HTTP_BYTES = 2,  /* takes bodies that are not JSON, too */
    HTTP_OPEN = 8,   /* needs no token */
    HTTP_PAGE = 4,   /* a page, or a file of it: links on other sites may lead here */
};

typedef struct HttpRoute {
    const char *method; /* GET (answers HEAD, too) or POST */
    const char *path;   /* as path_matches() takes it */
    unsigned flags;
    void (*handle)(HttpRequest *request); /* answers, or keeps the request and answers later */
} HttpRoute;

typedef struct HttpOptions {
    int listen_fd;           /* a socket that listens; the server closes it */
    const HttpRoute *routes; /* ends with a route without a method; must outlive the server */
    GuardNames names;
    const char *tls_cert, *tls_key; /* PEM files; NULL: plain HTTP */
    /* The ctx of a request by its Authorization header (NULL: it has none); NULL: refused with 401.
     * NULL instead of a function: all requests have ctx. */
    void *(*authorize)(const char *authorization, void *authorize_ctx);
    void *authorize_ctx;
    void *ctx; /* http_ctx(), also of requests that need no token */
} HttpOptions;

/* 0, or a negative errno. The socket is closed in both cases. */
int http_open(const HttpOptions *options, HttpServer **ret, ferry_error *reterr);

/* Ends all event streams, as far as their readers read: their on_end is called. */
void http_end_streams(HttpServer *server);

/* Answers to suspended requests must have been given before. Returns NULL. */
HttpServer *http_close(HttpServer *server);

/* An epoll descriptor: when it is readable, or http_is_due(), call http_process(). Never waits. */
int http_fd(const HttpServer *server);
bool http_is_due(const HttpServer *server);
void http_process(HttpServer *server);

/* To be called each second: ends connections whose time is over. */
void http_tick(HttpServer *server, uint64_t now_ms);

/* ---- requests ---- */

void *http_ctx(const HttpRequest *request);

/* The n-th decoded part of the path, from 0. */
const char *http_part(const HttpRequest *request, size_t n);

/* The value of a header, or of a query parameter, decoded; NULL: it has none. Lent. */
const char *http_header(const HttpRequest *request, const char *name);
const char *http_query(HttpRequest *request, const char *name);

/* Calls fn with the value of each header of this name. */
void http_each_header(const HttpRequest *request, const char *name,
                      void (*fn)(const char *value, void *ctx), void *ctx);

/* The body. Empty for GET. */
ferry_bytes http_body(const HttpRequest *request);

/* Each answers the request, which is gone for its handler afterwards. They free, or take over, what
 * they get. */
void http_reply(HttpRequest *request, unsigned status, const char *type, Buffer *body);
void http_reply_json(HttpRequest *request, unsigned status, json_t *json); /* NULL: out of memory */
void http_reply_empty(HttpRequest *request, unsigned status);
/* Text that lives as long as the program; etag: for If-None-Match. */
void http_reply_file(HttpRequest *request, const char *type, ferry_bytes content, const char *etag);
/* A problem of RFC 9457: title and detail. */
void http_reply_problem(HttpRequest *request, unsigned status, const char *title,
                        const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Adds a header to the answer that follows. Texts are copied; at most 4. */
void http_add_header(HttpRequest *request, const char *name, const char *value);

/* ---- event streams ---- */

typedef void (*HttpStreamEndFn)(HttpStream *stream, void *ctx);

/* Answers a request with a stream of events (text/event-stream). on_end is called once, when the
 * reader is gone, or the stream is closed; then the stream is freed. NULL: the request was refused,
 * and answered; on_end is not called. */
HttpStream *http_stream_open(HttpRequest *request, HttpStreamEndFn on_end, void *ctx);

/* Sends an event; id NULL: without an id. data is one line. False: HTTP_BACKLOG_MAX bytes wait for
 * the reader, and the event was dropped. */
bool http_stream_send(HttpStream *stream, const char *event, const char *id, const char *data,
                      size_t len);

/* Bytes that wait for the reader. */
size_t http_stream_backlog(const HttpStream *stream);

/* fn is called, with the ctx of the stream, whenever nothing waits for the reader any more. It runs
 * inside libmicrohttpd's turn, and may send. */
void http_stream_on_room(HttpStream *stream, HttpStreamEndFn fn);

/* Ends the stream when its reader has what waits. */
void http_stream_close(HttpStream *stream);

/* True if everything was given to the reader's connection. */
bool http_stream_is_idle(const HttpStream *stream);
