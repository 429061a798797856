/* SPDX-License-Identifier: Apache-2.0 */

/* libmicrohttpd's daemon and its connections. See server.h. */

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utlist.h>

#include "base/clock.h"
#include "base/error.h"
#include "clients/web/http/server-private.h"

enum { IDLE_S = 30 }; /* libmicrohttpd's own limit, for readers that read nothing */

/* Called twice for each connection: at its start and at its end. */
static void on_connection(void *ctx, struct MHD_Connection *connection, void **visitor_of,
                          enum MHD_ConnectionNotificationCode code) {
    HttpServer *server = ctx;
    HttpVisitor *visitor = *visitor_of;

    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        visitor = calloc(1, sizeof(*visitor));
        if (!visitor)
            return; /* requests on it are refused */
        visitor->connection = connection;
        visitor->until_ms = server->now_ms + HTTP_REQUEST_MS;
        DL_APPEND(server->visitors, visitor);
        *visitor_of = visitor;
    } else if (visitor) {
        DL_DELETE(server->visitors, visitor);
        free(visitor);
        *visitor_of = NULL;
    }
}

/* Called when the request line has arrived. The path is read later, together with the method. */
static void *on_request_line(void *ctx, const char *uri, struct MHD_Connection *connection) {
    (void)uri;
    return http_request_new(ctx, connection);
}

static void on_completed(void *ctx, struct MHD_Connection *connection, void **request,
                         enum MHD_RequestTerminationCode why) {
    HttpRequest *mine = *request;

    (void)ctx;
    (void)connection;
    (void)why;
    if (!mine)
        return;
    if (mine->visitor)
        mine->visitor->until_ms = mine->server->now_ms + HTTP_REQUEST_MS;
    http_request_free(mine);
    *request = NULL;
}

/* Leaves the path and the query encoded: path_decode() decodes them. */
static size_t keep_escapes(void *ctx, struct MHD_Connection *connection, char *text) {
    (void)ctx;
    (void)connection;
    return strlen(text);
}

static enum MHD_Result queue_answer(HttpRequest *request) {
    return MHD_queue_response(request->connection, request->status, request->response);
}

/* libmicrohttpd calls it with the headers, then with each piece of the body, then without data; and
 * once more after a suspended connection was resumed. */
/* NOLINTNEXTLINE(readability-function-size): the parameters are libmicrohttpd's */
static enum MHD_Result on_request(void *ctx, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *len, void **request_of) {
    HttpRequest *request = *request_of;

    (void)ctx;
    (void)version;
    if (!request || !request->visitor)
        return MHD_NO;
    if (!request->is_begun) {
        http_request_begin(request, url, method);
        return request->response ? queue_answer(request) : MHD_YES;
    }
    if (*len > 0) {
        http_request_take(request, data, *len);
        *len = 0;
        return request->is_too_large && request->body.len > (size_t)2 * HTTP_BODY_MAX ? MHD_NO
                                                                                      : MHD_YES;
    }
    if (!request->is_handled)
        http_request_end(request);
    if (request->response)
        return queue_answer(request);
    if (!request->is_suspended) {
        request->is_suspended = true;
        request->visitor->until_ms = UINT64_MAX;
        MHD_suspend_connection(connection);
    }
    return MHD_YES;
}

/* Reads a PEM file. is_secret: refuses a file that other users can read. */
static int read_pem(const char *path, bool is_secret, Buffer *to, ferry_error *reterr) {
    enum { PEM_MAX = 256 * 1024 }; /* bytes */
    FILE *file = fopen(path, "re");
    struct stat status;
    uint8_t *room;
    int r = 0;

    if (!file || fstat(fileno(file), &status) < 0)
        r = error_set_code(reterr, errno, "cannot read %s: %s", path, strerror(errno));
    else if (is_secret && status.st_mode & 077)
        r = error_set(reterr, "ferry.PermissionDenied",
                      "%s has a secret key, and other users can read it: chmod 600", path);
    room = r == 0 ? buffer_reserve(to, PEM_MAX + 1) : NULL;
    if (room) {
        to->len = fread(room, 1, PEM_MAX + 1, file);
        if (ferror(file))
            r = error_set_code(reterr, errno, "cannot read %s: %s", path, strerror(errno));
        else if (to->len > PEM_MAX)
            r = error_set(reterr, "ferry.InvalidArgument", "%s is larger than %d KiB", path,
                          PEM_MAX / 1024);
    }
    if (file)
        fclose(file);
    buffer_append(to, "", 1);
    return r < 0 ? r : to->failed ? error_set_code(reterr, -ENOMEM, NULL) : 0;
}

static int read_tls(HttpServer *server, ferry_error *reterr) {
    int r = 0;

    if (server->options.tls_cert)
        r = read_pem(server->options.tls_cert, false, &server->tls_cert, reterr);
    if (r == 0 && server->options.tls_key)
        r = read_pem(server->options.tls_key, true, &server->tls_key, reterr);
    return r;
}

static void free_server(HttpServer *server) {
    buffer_deinit(&server->tls_cert);
    buffer_deinit(&server->tls_key);
    free(server);
}

static void start(HttpServer *server) {
    bool is_tls = server->options.tls_cert;
    const struct MHD_OptionItem tls[] = {
        {MHD_OPTION_HTTPS_MEM_CERT, 0, server->tls_cert.data},
        {MHD_OPTION_HTTPS_MEM_KEY, 0, server->tls_key.data},
        {MHD_OPTION_HTTPS_PRIORITIES, 0,
         (void *)(uintptr_t) "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"},
        {MHD_OPTION_END, 0, NULL},
    };
    const struct MHD_OptionItem plain[] = {{MHD_OPTION_END, 0, NULL}};

    server->daemon = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | (is_tls ? MHD_USE_TLS : 0), 0, NULL, NULL,
        on_request, server, MHD_OPTION_LISTEN_SOCKET, server->options.listen_fd,
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, server, MHD_OPTION_NOTIFY_COMPLETED,
        on_completed, server, MHD_OPTION_URI_LOG_CALLBACK, on_request_line, server,
        MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes, NULL, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)HTTP_CONNECTIONS_MAX, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HTTP_HEAD_MAX,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_S, MHD_OPTION_STRICT_FOR_CLIENT, 1,
        MHD_OPTION_ARRAY, is_tls ? tls : plain, MHD_OPTION_END);
}

int http_open(const HttpOptions *options, HttpServer **ret, ferry_error *reterr) {
    HttpServer *server = calloc(1, sizeof(*server));
    int r = server ? 0 : error_set_code(reterr, -ENOMEM, NULL);

    if (server) {
        server->options = *options;
        server->now_ms = clock_ms();
        r = read_tls(server, reterr);
    }
    if (r == 0)
        start(server);
    if (r == 0 && !server->daemon)
        r = error_set(reterr, options->tls_cert ? "ferry.InvalidArgument" : "ferry.Internal",
                      options->tls_cert ? "%s and %s are not a certificate and its key"
                                        : "libmicrohttpd cannot start",
                      options->tls_cert, options->tls_key);
    if (r == 0) {
        *ret = server;
        return 0;
    }
    close(options->listen_fd);
    if (server)
        free_server(server);
    return r;
}

void http_end_streams(HttpServer *server) {
    server->is_closing = true;
    http_streams_end(server);
    MHD_run(server->daemon);
}

HttpServer *http_close(HttpServer *server) {
    if (!server)
        return NULL;
    http_end_streams(server);
    MHD_stop_daemon(server->daemon);
    free_server(server);
    return NULL;
}

int http_fd(const HttpServer *server) {
    return MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
}

bool http_is_due(const HttpServer *server) {
    return server->is_due;
}

void http_process(HttpServer *server) {
    MHD_UNSIGNED_LONG_LONG wait_ms;

    server->now_ms = clock_about_ms();
    server->is_due = false;
    MHD_run(server->daemon);
    /* Some connections are ready already, and their descriptors may not become ready again. */
    if (MHD_get_timeout(server->daemon, &wait_ms) == MHD_YES && wait_ms == 0)
        server->is_due = true;
}

void http_tick(HttpServer *server, uint64_t now_ms) {
    HttpVisitor *visitor;

    server->now_ms = now_ms;
    server->is_due = true; /* libmicrohttpd looks for silent connections, too */
    DL_FOREACH(server->visitors, visitor) {
        if (visitor->until_ms > now_ms)
            continue;
        /* libmicrohttpd sees the end of the connection in its next turn. */
        shutdown(MHD_get_connection_info(visitor->connection, MHD_CONNECTION_INFO_CONNECTION_FD)
                     ->connect_fd,
                 SHUT_RDWR);
        visitor->until_ms = UINT64_MAX;
    }
    http_streams_tick(server, now_ms);
}
