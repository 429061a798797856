/* SPDX-License-Identifier: Apache-2.0 */

/* One request: its checks, its body, its answer. See server.h. */

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <strings.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "clients/web/http/server-private.h"

/* The content security policy of pages and of all JSON: scripts, styles and connections only from
 * this server, no frames, and no text that is parsed as markup. */
#define POLICY                                                                                     \
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "              \
    "connect-src 'self'; font-src 'self'; manifest-src 'self'; base-uri 'none'; "                  \
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"

HttpRequest *http_request_new(HttpServer *server, struct MHD_Connection *connection) {
    HttpRequest *request = calloc(1, sizeof(*request));

    if (request) {
        request->server = server;
        request->connection = connection;
        request->visitor =
            MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
    }
    return request;
}

void http_request_free(HttpRequest *request) {
    if (request->response)
        MHD_destroy_response(request->response);
    for (size_t i = 0; i < request->n_query; i++)
        free(request->query[i]);
    for (size_t i = 0; i < request->n_added; i++) {
        free(request->added[i].name);
        free(request->added[i].value);
    }
    request->server->n_body_bytes -= request->body.cap;
    buffer_deinit(&request->body);
    free(request);
}

/* ---- checking and reading a request ---- */

static bool is_read(const char *method) {
    return strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
}

/* Finds the route. If the method is wrong, the answer lists the methods of the path. */
static void choose_route(HttpRequest *request, const char *method) {
    const char *wanted = is_read(method) ? "GET" : method;
    const HttpRoute *other = NULL;

    for (const HttpRoute *route = request->server->options.routes; route->method; route++) {
        if (!path_matches(&request->path, route->path))
            continue;
        if (strcmp(route->method, wanted) == 0) {
            request->route = route;
            return;
        }
        other = route;
    }
    if (other) {
        http_add_header(request, "Allow", other->method);
        http_reply_problem(request, 405, "MethodNotAllowed", "this path supports %s",
                           other->method);
    } else {
        http_reply_problem(request, 404, "NotFound", "there is no page or endpoint at this path");
    }
}

static void check_source(HttpRequest *request, const char *method) {
    unsigned flags = request->route->flags;
    const char *why = "";
    unsigned status = guard_check(
        &(GuardRequest){
            .host = http_header(request, "Host"),
            .origin = http_header(request, "Origin"),
            .fetch_site = http_header(request, "Sec-Fetch-Site"),
            .content_type = http_header(request, "Content-Type"),
            .ferry_request = http_header(request, "Ferry-Request"),
            .is_page = flags & HTTP_PAGE,
            .is_read = is_read(method),
            .is_action = flags & HTTP_ACTION,
            .takes_bytes = flags & HTTP_BYTES,
            .takes_lines = flags & HTTP_LINES,
        },
        &request->server->options.names, &why);

    if (status == 415)
        http_add_header(request, "Accept", "application/json");
    if (status)
        http_reply_problem(request, status, "Refused", "%s", why);
}

/* Finds the user of the request by its token. */
static void check_token(HttpRequest *request) {
    const HttpOptions *options = &request->server->options;

    request->ctx = options->ctx;
    if (!options->authorize || request->route->flags & HTTP_OPEN)
        return;
    request->ctx =
        options->authorize(http_header(request, "Authorization"), options->authorize_ctx);
    if (request->ctx)
        return;
    http_add_header(request, "WWW-Authenticate", "Basic realm=\"ferry\", charset=\"UTF-8\"");
    http_reply_problem(request, 401, "Unauthorized", "the token is missing or unknown");
}

/* Checks Content-Length before the body arrives. A chunked body has no length, and is checked while
 * it arrives. */
static void check_length(HttpRequest *request) {
    const char *text = http_header(request, "Content-Length");
    uint64_t length = 0;
    int r = text ? text_parse_count(text, &length) : 0;

    if (r == -EINVAL)
        http_reply_problem(request, 400, "BadLength", "Content-Length is not a decimal number");
    else if (r < 0 || length > HTTP_BODY_MAX)
        http_reply_problem(request, 413, "TooLarge", "a body has at most 8 MiB");
    else if (request->server->n_body_bytes + length > HTTP_BODIES_MAX)
        http_reply_problem(request, 503, "Overloaded", "too many bodies are arriving: try again");
}

void http_request_begin(HttpRequest *request, const char *url, const char *method) {
    const char *problem = path_split(url, &request->path);

    request->is_begun = true;
    if (problem) {
        http_reply_problem(request, 400, "BadPath", "the path: %s", problem);
        return;
    }
    choose_route(request, method);
    if (!request->response)
        check_source(request, method);
    if (!request->response)
        check_token(request);
    if (!request->response)
        check_length(request);
}

void http_request_take(HttpRequest *request, const char *data, size_t len) {
    HttpServer *server = request->server;
    size_t before = request->body.cap;

    if (request->body.len + len > HTTP_BODY_MAX || server->n_body_bytes + len > HTTP_BODIES_MAX) {
        /* The rest of the body is read and dropped, up to a limit, because an answer cannot be sent
         * in the middle of a body. */
        request->is_too_large = true;
        request->body.len += len;
        return;
    }
    buffer_append(&request->body, data, len);
    server->n_body_bytes += request->body.cap - before;
}

void http_request_end(HttpRequest *request) {
    request->is_handled = true;
    if (request->is_too_large)
        http_reply_problem(request, 413, "TooLarge", "a body has at most 8 MiB");
    else if (request->body.failed)
        http_reply_problem(request, 503, "OutOfMemory", "out of memory");
    else
        request->route->handle(request);
}

/* ---- for handlers ---- */

void *http_ctx(const HttpRequest *request) {
    return request->ctx;
}

const char *http_part(const HttpRequest *request, size_t n) {
    return n < request->path.n ? request->path.parts[n] : "";
}

const char *http_header(const HttpRequest *request, const char *name) {
    return MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
}

const char *http_query(HttpRequest *request, const char *name) {
    const char *raw = MHD_lookup_connection_value(request->connection, MHD_GET_ARGUMENT_KIND, name);
    char *value;

    if (!raw || request->n_query == sizeof(request->query) / sizeof(*request->query))
        return NULL;
    value = strdup(raw);
    if (!value || path_decode(value, true)) {
        free(value);
        return NULL;
    }
    request->query[request->n_query++] = value;
    return value;
}

/* The headers of one name. */
typedef struct HeaderWalk {
    const char *name;
    void (*fn)(const char *value, void *ctx);
    void *ctx;
} HeaderWalk;

static enum MHD_Result walk_header(void *ctx, enum MHD_ValueKind kind, const char *name,
                                   const char *value) {
    const HeaderWalk *walk = ctx;

    (void)kind;
    if (value && strcasecmp(name, walk->name) == 0)
        walk->fn(value, walk->ctx);
    return MHD_YES;
}

void http_each_header(const HttpRequest *request, const char *name,
                      void (*fn)(const char *value, void *ctx), void *ctx) {
    MHD_get_connection_values(request->connection, MHD_HEADER_KIND, walk_header,
                              &(HeaderWalk){name, fn, ctx});
}

ferry_bytes http_body(const HttpRequest *request) {
    return ferry_bytes_of(request->body.data ? (const char *)request->body.data : "",
                          request->body.len);
}

/* ---- answering ---- */

void http_add_header(HttpRequest *request, const char *name, const char *value) {
    if (request->n_added == HTTP_HEADERS_ADDED_MAX)
        return;
    request->added[request->n_added].name = strdup(name);
    request->added[request->n_added].value = strdup(value);
    request->n_added++;
}

void http_answer(HttpRequest *request, unsigned status, struct MHD_Response *response,
                 uint64_t size) {
    static char empty[] = "";
    HttpServer *server = request->server;

    if (!response) {
        response = MHD_create_response_from_buffer(0, empty, MHD_RESPMEM_PERSISTENT);
        status = 503;
    }
    if (!response) /* out of memory: the connection ends at its time limit */
        return;
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    if (!(request->route && request->route->flags & HTTP_PAGE))
        MHD_add_response_header(response, "Cache-Control", "no-store");
    MHD_add_response_header(response, "Content-Security-Policy", POLICY);
    for (size_t i = 0; i < request->n_added; i++)
        if (request->added[i].name && request->added[i].value)
            MHD_add_response_header(response, request->added[i].name, request->added[i].value);
    request->response = response;
    request->status = status;
    if (request->visitor)
        request->visitor->until_ms =
            size == UINT64_MAX ? UINT64_MAX : server->now_ms + HTTP_ANSWER_MS + size / 16;
    if (request->is_suspended) {
        MHD_resume_connection(request->connection);
        server->is_due = true;
    }
}

void http_reply(HttpRequest *request, unsigned status, const char *type, Buffer *body) {
    struct MHD_Response *response = NULL;
    static char empty[] = "";

    if (!body->failed)
        response = MHD_create_response_from_buffer(
            body->len, body->data ? (void *)body->data : empty,
            body->data ? MHD_RESPMEM_MUST_FREE : MHD_RESPMEM_PERSISTENT);
    if (response) {
        MHD_add_response_header(response, "Content-Type", type);
        *body = (Buffer){.len = body->len};
    }
    http_answer(request, status, response, body->len);
    buffer_deinit(body);
}

static int append_text(const char *text, size_t len, void *to) {
    buffer_append(to, text, len);
    return ((Buffer *)to)->failed ? -1 : 0;
}

static void reply_json(HttpRequest *request, unsigned status, const char *type, json_t *json) {
    Buffer body = {0};

    if (!json || json_dump_callback(json, append_text, &body, JSON_COMPACT | JSON_ENCODE_ANY) < 0)
        body.failed = true;
    json_decref(json);
    http_reply(request, status, type, &body);
}

void http_reply_json(HttpRequest *request, unsigned status, json_t *json) {
    reply_json(request, status, status < 400 ? "application/json" : "application/problem+json",
               json);
}

void http_reply_empty(HttpRequest *request, unsigned status) {
    static char empty[] = "";

    http_answer(request, status, MHD_create_response_from_buffer(0, empty, MHD_RESPMEM_PERSISTENT),
                0);
}

void http_reply_file(HttpRequest *request, const char *type, ferry_bytes content,
                     const char *etag) {
    const char *known = http_header(request, "If-None-Match");

    http_add_header(request, "ETag", etag);
    http_add_header(request, "Cache-Control", "no-cache");
    http_add_header(request, "Referrer-Policy", "no-referrer");
    if (known && strcmp(known, etag) == 0) {
        http_reply_empty(request, 304);
        return;
    }
    http_add_header(request, "Content-Type", type);
    http_answer(request, 200,
                MHD_create_response_from_buffer(content.len, (void *)(uintptr_t)content.data,
                                                MHD_RESPMEM_PERSISTENT),
                content.len);
}

void http_reply_problem(HttpRequest *request, unsigned status, const char *title,
                        const char *format, ...) {
    char detail[512];
    va_list args;

    va_start(args, format);
    vsnprintf(detail, sizeof(detail), format, args);
    va_end(args);
    http_reply_json(request, status,
                    json_pack("{s:s, s:s, s:i, s:s}", "type", "about:blank", "title", title,
                              "status", (int)status, "detail", detail));
}
