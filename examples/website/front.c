/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Speaks HTTP with browsers, and turns each request into one call of website.Website.handle.
 *
 *     website-front [PORT]   on 127.0.0.1; default 8000, 0: a free one
 *
 * libmicrohttpd gives each connection a thread, and each thread has its own client. A connection
 * that sends or reads slowly does not delay other connections, and a request reaches the service
 * only when it is complete.
 */

#include <arpa/inet.h>
#include <ctype.h>
#include <microhttpd.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

#include "website.h"

enum { CONNECTIONS_MAX = 64, IDLE_S = 30, BODY_MAX = 1 << 20, KEYS_MAX = 100, PIECE = 65536 };

/* A request in progress. */
typedef struct Exchange {
    char *uri; /* as it was sent, with its query */
    char *body;
    size_t len;
    bool begun, too_large;
} Exchange;

/* A response in progress. */
typedef struct Flow {
    ferry_stream *stream;
    website_part *part;
    size_t at; /* in the piece */
} Flow;

typedef struct Environ {
    size_t n;
    website_map_string_string_entry v[KEYS_MAX];
} Environ;

static uint16_t port;

/* ---- the environment ---- */

static void put(Environ *variables, const char *prefix, const char *key, const char *value) {
    char *name = NULL;

    if (variables->n == KEYS_MAX || asprintf(&name, "%s%s", prefix, key) < 0)
        return;
    for (char *c = name + strlen(prefix); *prefix && *c; c++)
        *c = (char)(*c == '-' ? '_' : toupper((unsigned char)*c));
    variables->v[variables->n++] = (website_map_string_string_entry){name, strdup(value)};
}

static enum MHD_Result put_header(void *ctx, enum MHD_ValueKind kind, const char *key,
                                  const char *value) {
    (void)kind;
    if (strcasecmp(key, "Content-Type") == 0) /* these two have no HTTP_ before them */
        put(ctx, "", "CONTENT_TYPE", value ? value : "");
    else if (strcasecmp(key, "Content-Length") == 0)
        put(ctx, "", "CONTENT_LENGTH", value ? value : "");
    else
        put(ctx, "HTTP_", key, value ? value : "");
    return MHD_YES;
}

static void put_remote(Environ *variables, struct MHD_Connection *connection) {
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    char text[INET6_ADDRSTRLEN] = "";

    inet_ntop(AF_INET, &((struct sockaddr_in *)info->client_addr)->sin_addr, text, sizeof(text));
    put(variables, "", "REMOTE_ADDR", text);
}

static void fill(Environ *variables, struct MHD_Connection *connection, const Exchange *exchange,
                 const char *path, const char *method, const char *version) {
    const char *query = strchr(exchange->uri, '?');
    char number[24];

    put(variables, "", "REQUEST_METHOD", method);
    put(variables, "", "SCRIPT_NAME", "");
    put(variables, "", "PATH_INFO", path);
    put(variables, "", "QUERY_STRING", query ? query + 1 : "");
    put(variables, "", "SERVER_NAME", "127.0.0.1");
    snprintf(number, sizeof(number), "%u", port);
    put(variables, "", "SERVER_PORT", number);
    put(variables, "", "SERVER_PROTOCOL", version);
    put(variables, "", "SERVER_SOFTWARE", "website-front");
    put(variables, "", "GATEWAY_INTERFACE", "CGI/1.1");
    put(variables, "", "REMOTE_HOST", "");
    put_remote(variables, connection);
    put(variables, "", "wsgi.version", "(1, 0)");
    put(variables, "", "wsgi.url_scheme", "http");
    snprintf(number, sizeof(number), "%zu bytes", exchange->len);
    put(variables, "", "wsgi.input", number);
    put(variables, "", "wsgi.errors", "the log of the server");
    put(variables, "", "wsgi.multithread", "True");
    put(variables, "", "wsgi.multiprocess", "True");
    put(variables, "", "wsgi.run_once", "False");
    MHD_get_connection_values(connection, MHD_HEADER_KIND, put_header, variables);
}

static void empty(Environ *variables) {
    for (size_t i = 0; i < variables->n; i++) {
        free((char *)(uintptr_t)variables->v[i].key);
        free((char *)(uintptr_t)variables->v[i].value);
    }
}

/* ---- the response ---- */

/* libmicrohttpd asks for the next bytes of the body. */
static ssize_t read_body(void *ctx, uint64_t position, char *to, size_t max) {
    Flow *flow = ctx;
    size_t n;
    int r;

    (void)position;
    while (!flow->part || flow->part->which != WEBSITE_PART_BODY ||
           flow->at == flow->part->body.len) {
        flow->part = ferry_free(flow->part);
        flow->at = 0;
        r = website_handle_next(flow->stream, &flow->part, NULL);
        if (r <= 0)
            return r == 0 ? MHD_CONTENT_READER_END_OF_STREAM : MHD_CONTENT_READER_END_WITH_ERROR;
    }
    n = flow->part->body.len - flow->at;
    n = n < max ? n : max;
    memcpy(to, (const char *)flow->part->body.data + flow->at, n);
    flow->at += n;
    return (ssize_t)n;
}

static void end_flow(void *ctx) {
    Flow *flow = ctx;

    ferry_free(flow->part);
    ferry_stream_close(flow->stream);
    free(flow);
}

static void log_line(struct MHD_Connection *connection, const Exchange *exchange,
                     const char *method, const char *version, unsigned status) {
    char when[40], who[INET6_ADDRSTRLEN] = "";
    time_t now = time(NULL);
    struct tm parts;

    inet_ntop(AF_INET,
              &((struct sockaddr_in *)MHD_get_connection_info(connection,
                                                              MHD_CONNECTION_INFO_CLIENT_ADDRESS)
                    ->client_addr)
                   ->sin_addr,
              who, sizeof(who));
    strftime(when, sizeof(when), "%d/%b/%Y %H:%M:%S", localtime_r(&now, &parts));
    printf("%s - - [%s] \"%s %s %s\" %u -\n", who, when, method, exchange->uri, version, status);
}

static enum MHD_Result send_text(struct MHD_Connection *connection, unsigned status,
                                 const char *text) {
    struct MHD_Response *response = MHD_create_response_from_buffer(
        strlen(text), (void *)(uintptr_t)text, MHD_RESPMEM_MUST_COPY);
    enum MHD_Result r;

    MHD_add_response_header(response, "Content-Type", "text/plain; charset=utf-8");
    r = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return r;
}

/* Returns the HTTP status for an error of ferry. */
static unsigned status_of(int r) {
    switch (r) {
    case -EINVAL:
        return MHD_HTTP_BAD_REQUEST; /* a text that is not UTF-8 */
    case -EHOSTUNREACH:
    case -ENOTCONN:
    case -ECONNRESET:
    case -EBUSY:
        return MHD_HTTP_SERVICE_UNAVAILABLE;
    case -ETIMEDOUT:
        return MHD_HTTP_GATEWAY_TIMEOUT;
    default:
        return MHD_HTTP_INTERNAL_SERVER_ERROR;
    }
}

static enum MHD_Result send_flow(struct MHD_Connection *connection, Flow *flow,
                                 unsigned *ret_status) {
    const website_head *head = &flow->part->head;
    struct MHD_Response *response = MHD_create_response_from_callback(
        head->length && *head->length >= 0 ? (uint64_t)*head->length : MHD_SIZE_UNKNOWN, PIECE,
        read_body, flow, end_flow);
    enum MHD_Result r;

    for (size_t i = 0; i < head->headers.n; i++)
        MHD_add_response_header(response, head->headers.v[i].name, head->headers.v[i].value);
    *ret_status = (unsigned)head->status;
    r = MHD_queue_response(connection, *ret_status, response);
    MHD_destroy_response(response);
    return r;
}

/* Makes the call, and begins the response. */
static enum MHD_Result respond(struct MHD_Connection *connection, const Exchange *exchange,
                               const char *path, const char *method, const char *version,
                               unsigned *ret_status) {
    ferry_client *client =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
    FERRY_AUTO(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    Flow *flow = calloc(1, sizeof(*flow));
    Environ variables = {.n = 0};
    int r = flow && client ? 0 : -ENOMEM;

    fill(&variables, connection, exchange, path, method, version);
    if (r == 0)
        r = website_handle(client, &(website_map_string_string){variables.n, variables.v},
                           ferry_bytes_of(exchange->body ? exchange->body : "", exchange->len),
                           &flow->stream, &error);
    if (r == 0)
        r = website_handle_next(flow->stream, &flow->part, &error);
    empty(&variables);
    if (r > 0 && flow->part->which == WEBSITE_PART_HEAD && flow->part->head.status >= 100 &&
        flow->part->head.status < 600)
        return send_flow(connection, flow, ret_status);
    if (flow)
        end_flow(flow);
    *ret_status = status_of(r);
    return send_text(connection, *ret_status, error.message ? error.message : "no response\n");
}

/* ---- callbacks of libmicrohttpd ---- */

static void *on_uri(void *ctx, const char *uri, struct MHD_Connection *connection) {
    Exchange *exchange = calloc(1, sizeof(*exchange));

    (void)ctx;
    (void)connection;
    if (exchange && !(exchange->uri = strdup(uri))) {
        free(exchange);
        return NULL;
    }
    return exchange;
}

static void on_completed(void *ctx, struct MHD_Connection *connection, void **con_cls,
                         enum MHD_RequestTerminationCode why) {
    Exchange *exchange = *con_cls;

    (void)ctx;
    (void)connection;
    (void)why;
    if (exchange) {
        free(exchange->uri);
        free(exchange->body);
        free(exchange);
    }
}

static void on_connection(void *ctx, struct MHD_Connection *connection, void **client,
                          enum MHD_ConnectionNotificationCode code) {
    (void)ctx;
    (void)connection;
    if (code == MHD_CONNECTION_NOTIFY_STARTED)
        ferry_open(NULL, &(ferry_options){.name = "website-front"}, (ferry_client **)client, NULL);
    else
        *client = ferry_close(*client);
}

static void take_body(Exchange *exchange, const char *data, size_t len) {
    char *more =
        exchange->len + len > BODY_MAX ? NULL : realloc(exchange->body, exchange->len + len);

    exchange->too_large = exchange->too_large || !more;
    if (!more)
        return;
    exchange->body = more;
    memcpy(more + exchange->len, data, len);
    exchange->len += len;
}

static enum MHD_Result on_request(void *ctx, struct MHD_Connection *connection, const char *path,
                                  const char *method, const char *version, const char *data,
                                  size_t *len, void **con_cls) {
    Exchange *exchange = *con_cls;
    unsigned status;
    enum MHD_Result r;

    (void)ctx;
    if (!exchange)
        return MHD_NO;
    if (!exchange->begun) {
        exchange->begun = true;
        return MHD_YES;
    }
    if (*len > 0) {
        take_body(exchange, data, *len);
        *len = 0;
        return MHD_YES;
    }
    if (exchange->too_large) {
        status = MHD_HTTP_CONTENT_TOO_LARGE;
        r = send_text(connection, status, "the body is larger than 1 MiB\n");
    } else if (strstr(exchange->uri, "%00")) {
        status = MHD_HTTP_BAD_REQUEST;
        r = send_text(connection, status, "a path has no zero byte\n");
    } else {
        r = respond(connection, exchange, path, method, version, &status);
    }
    log_line(connection, exchange, method, version, status);
    return r;
}

int main(int argc, char **argv) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct MHD_Daemon *daemon;
    sigset_t signals;
    int signal;

    port = (uint16_t)(argc > 1 ? atoi(argv[1]) : 8000);
    at.sin_port = htons(port);
    setvbuf(stdout, NULL, _IOLBF, 0);
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    daemon = MHD_start_daemon(
        MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION | MHD_USE_POLL, port, NULL,
        NULL, on_request, NULL, MHD_OPTION_SOCK_ADDR, &at, MHD_OPTION_NOTIFY_CONNECTION,
        on_connection, NULL, MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL,
        MHD_OPTION_URI_LOG_CALLBACK, on_uri, NULL, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_S, MHD_OPTION_END);
    if (!daemon) {
        perror("website-front");
        return 1;
    }
    port = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT)->port;
    printf("Serving HTTP on 127.0.0.1 port %u (http://127.0.0.1:%u/) ...\n", port, port);
    sigwait(&signals, &signal);
    MHD_stop_daemon(daemon);
    return 0;
}
