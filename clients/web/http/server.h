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
    HTTP_HEAD_MAX = 32 * 1024,          /* bytes of request line and headers; above this, 431 */
    HTTP_BODY_MAX = 8 * 1024 * 1024,    /* bytes of the body of one request; above this, 413 */
    HTTP_BODIES_MAX = 64 * 1024 * 1024, /* bytes of the bodies of all requests; above this, 503 */
    HTTP_REQUEST_MS = 30000,            /* time to send a request, including the wait before it */
    HTTP_ANSWER_MS = 60000,             /* time to read an answer, plus one second per 16 KiB */
    HTTP_STREAMS_MAX = 64,              /* event streams; above this, 503 */
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
    HTTP_LINES = 16, /* takes application/x-ndjson, too */
    HTTP_PAGE = 4,   /* a page, or a file of it: links on other sites may lead here */
};

typedef struct HttpRoute {
    const char *method; /* GET (answers HEAD, too) or POST */
    const char *path;   /* a pattern of path_matches() */
    unsigned flags;
    void (*handle)(HttpRequest *request); /* answers, or keeps the request and answers later */
} HttpRoute;

typedef struct HttpOptions {
    int listen_fd;           /* a socket that listens; the server closes it */
    const HttpRoute *routes; /* ends with a route without a method; must outlive the server */
    GuardNames names;
    const char *tls_cert, *tls_key; /* PEM files; NULL: plain HTTP */
    /* Returns the ctx of a request by its Authorization header (NULL: the header is missing). If it
     * returns NULL, the request is refused with 401. If the function is NULL, all requests have
     * ctx. */
    void *(*authorize)(const char *authorization, void *authorize_ctx);
    void *authorize_ctx;
    void *ctx; /* http_ctx(), also of requests that need no token */
} HttpOptions;

/* 0, or a negative errno. The socket is closed in both cases. */
int http_open(const HttpOptions *options, HttpServer **ret, ferry_error *reterr);

/* Ends all event streams and calls their on_end. Readers that do not read get no more events. */
void http_end_streams(HttpServer *server);

/* All suspended requests must be answered before. Returns NULL. */
HttpServer *http_close(HttpServer *server);

/* Returns an epoll descriptor: when it is readable, or http_is_due() is true, call http_process(),
 * which never waits. */
int http_fd(const HttpServer *server);
bool http_is_due(const HttpServer *server);
void http_process(HttpServer *server);

/* Call this each second: ends connections whose time limit has passed. */
void http_tick(HttpServer *server, uint64_t now_ms);

/* ---- requests ---- */

void *http_ctx(const HttpRequest *request);

/* The n-th decoded part of the path, from 0. */
const char *http_part(const HttpRequest *request, size_t n);

/* Returns the value of a header, or of a query parameter, decoded; NULL: it is absent. Borrowed. */
const char *http_header(const HttpRequest *request, const char *name);
const char *http_query(HttpRequest *request, const char *name);

/* Calls fn with the value of each header of this name. */
void http_each_header(const HttpRequest *request, const char *name,
                      void (*fn)(const char *value, void *ctx), void *ctx);

/* The body. Empty for GET. */
ferry_bytes http_body(const HttpRequest *request);

/* These functions answer the request; its handler must not use it afterwards. They take ownership
 * of their arguments. */
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
 * reader has disconnected or the stream is closed; then the stream is freed. NULL: the request was
 * refused, and answered; on_end is not called. */
HttpStream *http_stream_open(HttpRequest *request, HttpStreamEndFn on_end, void *ctx);

/* Sends an event; id NULL: without an id. data is one line. False: HTTP_BACKLOG_MAX bytes wait for
 * the reader, and the event was dropped. */
bool http_stream_send(HttpStream *stream, const char *event, const char *id, const char *data,
                      size_t len);

/* Bytes that wait for the reader. */
size_t http_stream_backlog(const HttpStream *stream);

/* Sets fn, which is called with the ctx of the stream whenever the backlog becomes empty. It runs
 * inside libmicrohttpd's turn, and may send. */
void http_stream_on_room(HttpStream *stream, HttpStreamEndFn fn);

/* Ends the stream when the reader has received the backlog. */
void http_stream_close(HttpStream *stream);

/* True: all events were passed to the reader's connection. */
bool http_stream_is_idle(const HttpStream *stream);
