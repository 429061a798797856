/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Server, connections and requests, for the files of this folder. */

#include <microhttpd.h>

#include "clients/web/http/server.h"

enum { HTTP_HEADERS_ADDED_MAX = 4 };

/* A connection. Its time limit applies to the request that the client sends, or to the answer that
 * it reads. */
typedef struct HttpVisitor {
    struct HttpVisitor *prev, *next;
    struct MHD_Connection *connection;
    uint64_t until_ms; /* UINT64_MAX: no limit, a handler or a stream has the connection */
} HttpVisitor;

struct HttpServer {
    HttpOptions options;
    struct MHD_Daemon *daemon;
    HttpVisitor *visitors;
    HttpStream *streams;
    size_t n_streams, n_body_bytes;
    uint64_t now_ms;
    bool is_due, is_closing;
    Buffer tls_cert, tls_key; /* with a NUL */
};

struct HttpRequest {
    HttpServer *server;
    struct MHD_Connection *connection;
    HttpVisitor *visitor;
    const HttpRoute *route;
    void *ctx;
    Path path;
    Buffer body;
    char *query[8]; /* decoded values of the query, made on request */
    size_t n_query;
    struct MHD_Response *response; /* the answer; NULL: not answered yet */
    unsigned status;
    struct {
        char *name, *value;
    } added[HTTP_HEADERS_ADDED_MAX];
    size_t n_added;
    bool is_begun, is_handled, is_suspended, is_too_large;
};

/* ---- request.c ---- */

HttpRequest *http_request_new(HttpServer *server, struct MHD_Connection *connection);
void http_request_free(HttpRequest *request);

/* Chooses the route and checks the headers. If the request is refused, its answer is set
 * afterwards. */
void http_request_begin(HttpRequest *request, const char *url, const char *method);
void http_request_take(HttpRequest *request, const char *data, size_t len);
/* The whole body has arrived. */
void http_request_end(HttpRequest *request);

/* Sets the answer, and resumes the connection if it waits. Takes the response; NULL: out of memory.
 */
void http_answer(HttpRequest *request, unsigned status, struct MHD_Response *response,
                 uint64_t size);

/* ---- stream.c ---- */

/* Resumes the connections of all streams, for the end of the server. */
void http_streams_end(HttpServer *server);
/* Call this each second: sends comments to keep the connections of quiet streams alive. */
void http_streams_tick(HttpServer *server, uint64_t now_ms);
