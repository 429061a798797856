/* SPDX-License-Identifier: Apache-2.0 */
/* A connection's bytes in and out, and its calls. See connection.h. */

#include "clients/msgpack-rpc/connection.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"

enum {
    READ_BYTES = 64 * 1024,
    READS = 8,
    METHOD_MAX = 511,
    LOG_BURST = 100, /* log lines at once; then one each LOG_EACH_MS */
    LOG_EACH_MS = 100,
};

void gateway_log(Gateway *gateway, const char *format, ...) {
    char text[1024];
    va_list args;

    if (!burst_take(&gateway->log_rate, clock_ms(), LOG_BURST, LOG_EACH_MS)) {
        gateway->n_unlogged++;
        return;
    }
    if (gateway->n_unlogged > 0)
        log_warning("too many log lines about peers, left some out: lines=%llu",
                    (unsigned long long)gateway->n_unlogged);
    gateway->n_unlogged = 0;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    log_warning("%s", text);
}

/* ---- memory ---- */

/* Updates gateway->held. False: the limit of gateway->held is reached. */
static bool count_held(RpcConnection *connection) {
    Gateway *gateway = connection->gateway;

    gateway->held -= connection->held;
    connection->held = connection->in.cap + connection->out.cap;
    gateway->held += connection->held;
    return gateway->held <= gateway->max_memory;
}

/* A buffer that has grown is freed when it is empty. */
static void reset(Buffer *buffer) {
    if (buffer->cap > (size_t)2 * READ_BYTES)
        buffer_deinit(buffer);
    else
        buffer_reset(buffer);
}

/* ---- the end ---- */

static void set_dirty(RpcConnection *connection) {
    Gateway *gateway = connection->gateway;

    if (connection->dirty)
        return;
    if (!gateway->dirty && write(gateway->wake_fd, &(uint64_t){1}, sizeof(uint64_t)) < 0)
        return;
    connection->dirty = true;
    connection->next_dirty = gateway->dirty;
    gateway->dirty = connection;
}

/* gateway_process() frees the connection, because it may be in the middle of a callback. */
static void end(RpcConnection *connection) {
    connection->ended = true;
    set_dirty(connection);
}

void rpc_connection_cut(RpcConnection *connection, const char *problem) {
    if (connection->ended)
        return;
    gateway_log(connection->gateway, "a connection is cut: connection=%llu peer=%s problem='%s'",
                (unsigned long long)connection->number, connection->peer, problem);
    end(connection);
}

/* ---- answers ---- */

void rpc_connection_wrote(RpcConnection *connection) {
    if (connection->out.failed)
        rpc_connection_cut(connection, "out of memory");
    else if (connection->out.len - connection->n_out > RPC_OUT_MAX)
        rpc_connection_cut(connection, "the client does not read its messages");
    else if (!count_held(connection))
        rpc_connection_cut(connection, "all connections together reach the limit of memory");
    else
        set_dirty(connection);
}

void rpc_connection_fail(RpcConnection *connection, const RpcMessage *message,
                         const ferry_error *error) {
    if (message->kind != RPC_REQUEST || connection->ended)
        return;
    rpc_write_error(&connection->out, message->id, connection->gateway->options->errors, error);
    rpc_connection_wrote(connection);
}

void rpc_connection_answer(RpcConnection *connection, const RpcMessage *message, Span value) {
    if (message->kind != RPC_REQUEST || connection->ended)
        return;
    rpc_write_result(&connection->out, message->id, value);
    rpc_connection_wrote(connection);
}

/* ---- calls ---- */

RpcPending *rpc_pending_new(RpcConnection *connection, const RpcMessage *message) {
    RpcPending *call = malloc(sizeof(*call));

    if (!call)
        return NULL;
    *call = (RpcPending){connection, *message};
    connection->n_calls++;
    return call;
}

void rpc_pending_free(RpcPending *call) {
    RpcConnection *connection = call->connection;

    connection->n_calls--;
    /* Requests that had to wait for this one can be taken now. */
    if (connection->n_scanned < connection->in.len || connection->n_calls == RPC_CALLS_MAX - 1)
        set_dirty(connection);
    free(call);
}

static void on_reply(const ferry_reply *reply, const ferry_error *error, void *ctx) {
    RpcPending *call = ctx;

    if (error)
        rpc_connection_fail(call->connection, &call->message, error);
    else
        rpc_connection_answer(call->connection, &call->message,
                              (Span){reply->body.data, reply->body.len});
    rpc_pending_free(call);
}

/* Writes the full name "service.method" of a request. A method without a dot belongs to the default
 * service. */
static int full_name(const Gateway *gateway, Span method, char to[METHOD_MAX + 1],
                     ferry_error *reterr) {
    const char *service = gateway->options->service;
    bool has_dot = method.len > 0 && memchr(method.data, '.', method.len);
    char shown[TEXT_ESCAPED_MAX];
    int len;

    if (method.len == 0 || memchr(method.data, '\0', method.len) || method.len > METHOD_MAX / 2)
        return error_set(reterr, "ferry.InvalidArgument",
                         "a method is 'service.method': at most 255 bytes each");
    if (!has_dot && !service)
        return error_set(reterr, "ferry.NoSuchMethod",
                         "'%s' has no service: call 'service.method', or start the gateway with "
                         "--service",
                         text_escape(shown, method.data, method.len));
    len = snprintf(to, METHOD_MAX + 1, "%s%s%.*s", has_dot ? "" : service, has_dot ? "" : ".",
                   (int)method.len, (const char *)method.data);
    if (len > METHOD_MAX)
        return error_set(reterr, "ferry.InvalidArgument", "the method's name is too long");
    return 0;
}

static void call_service(RpcConnection *connection, const RpcMessage *message) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    char method[METHOD_MAX + 1];
    RpcPending *call = NULL;
    int r = full_name(connection->gateway, message->method, method, &error);

    if (r == 0 && !(call = rpc_pending_new(connection, message)))
        r = error_set_code(&error, -ENOMEM, NULL);
    if (r == 0)
        r = ferry_call_async(connection->handle, method,
                             ferry_bytes_of(message->params.data, message->params.len), on_reply,
                             call, &error);
    if (r == 0)
        return;
    rpc_connection_fail(connection, message, &error);
    if (call)
        rpc_pending_free(call);
}

static void take(RpcConnection *connection, Span value) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    const char *problem;
    RpcMessage message;

    if (rpc_read(value, &message, &problem) < 0) {
        rpc_connection_cut(connection, problem);
    } else if (message.kind == RPC_RESPONSE) {
        return; /* a response: the gateway sends no requests */
    } else if (message.problem) {
        error_set(&error, "ferry.InvalidArgument", "%s", message.problem);
        rpc_connection_fail(connection, &message, &error);
    } else if (!rpc_own_method(connection, &message)) {
        call_service(connection, &message);
    }
}

/* ---- input ---- */

static bool may_take(const RpcConnection *connection) {
    return !connection->ended && connection->n_calls < RPC_CALLS_MAX &&
           connection->out.len - connection->n_out < RPC_OUT_PAUSE;
}

/* Takes the complete values out of `in`. */
static void scan(RpcConnection *connection) {
    Buffer *in = &connection->in;
    size_t start = 0;

    while (may_take(connection) && connection->n_scanned < in->len) {
        size_t used;
        ScanOutcome outcome = scanner_feed(&connection->scanner, in->data + connection->n_scanned,
                                           in->len - connection->n_scanned, &used);

        connection->n_scanned += used;
        if (outcome == SCAN_BAD)
            rpc_connection_cut(connection, "the bytes are not MessagePack, or nested too deep");
        if (outcome == SCAN_VALUE) {
            take(connection, (Span){in->data + start, connection->n_scanned - start});
            start = connection->n_scanned;
        }
    }
    if (connection->ended)
        return;
    if (start > 0)
        memmove(in->data, in->data + start, in->len - start);
    in->len -= start;
    connection->n_scanned -= start;
    if (in->len == 0)
        reset(in);
    else if (connection->n_scanned == in->len &&
             in->len + connection->scanner.skip > connection->gateway->max_message)
        rpc_connection_cut(connection, "a message is larger than the limit");
}

static void receive(RpcConnection *connection) {
    for (int i = 0; i < READS && may_take(connection); i++) {
        uint8_t *to = buffer_reserve(&connection->in, READ_BYTES);
        ssize_t n;

        if (!to || !count_held(connection)) {
            rpc_connection_cut(connection, to ? "all connections together reach the limit of memory"
                                              : "out of memory");
            return;
        }
        n = recv(connection->fd, to, READ_BYTES, 0);
        if (n > 0) {
            connection->in.len += (size_t)n;
            scan(connection);
        } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
            end(connection);
        }
        if (n < READ_BYTES)
            return;
    }
}

/* ---- output ---- */

static void transmit(RpcConnection *connection) {
    Buffer *out = &connection->out;

    while (connection->n_out < out->len) {
        ssize_t n = send(connection->fd, out->data + connection->n_out,
                         out->len - connection->n_out, MSG_NOSIGNAL);

        if (n < 0 && errno != EAGAIN && errno != EINTR)
            end(connection);
        if (n <= 0)
            break;
        connection->n_out += (size_t)n;
    }
    if (connection->n_out == out->len) {
        reset(out);
        connection->n_out = 0;
    } else if (connection->n_out > out->len / 2) {
        memmove(out->data, out->data + connection->n_out, out->len - connection->n_out);
        out->len -= connection->n_out;
        connection->n_out = 0;
    }
    count_held(connection);
}

static void watch(RpcConnection *connection) {
    uint32_t events = (may_take(connection) ? EPOLLIN : 0) |
                      (connection->n_out < connection->out.len ? EPOLLOUT : 0);
    struct epoll_event event = {.events = events, .data.ptr = connection};

    if (events != connection->events)
        epoll_ctl(connection->gateway->epoll_fd, EPOLL_CTL_MOD, connection->fd, &event);
    connection->events = events;
}

void rpc_connection_process(RpcConnection *connection, uint32_t events) {
    /* epoll reports EPOLLHUP also for a connection that waits for no event, and would report it
     * again and again. */
    if (events & (EPOLLERR | EPOLLHUP) && !(events & EPOLLIN))
        end(connection);
    if (!connection->ended)
        transmit(connection);
    if (!connection->ended)
        scan(connection);
    if (!connection->ended && events & EPOLLIN)
        receive(connection);
    if (!connection->ended)
        transmit(connection);
    if (connection->ended)
        return;
    watch(connection);
    if (may_take(connection) && connection->n_scanned < connection->in.len)
        set_dirty(connection);
}

/* ---- new and free ---- */

int rpc_connection_new(Gateway *gateway, int fd, const struct sockaddr *address) {
    RpcConnection *connection = calloc(1, sizeof(*connection));
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    ferry_options options = {.timeout_ms = gateway->options->timeout_ms};

    if (!connection) {
        close(fd);
        return -ENOMEM;
    }
    connection->gateway = gateway;
    connection->fd = fd;
    connection->events = EPOLLIN;
    connection->number = ++gateway->last_number;
    socket_text(fd, address, connection->peer);
    if (address->sa_family != AF_UNIX)
        socket_tune(fd);
    DL_APPEND(gateway->connections, connection);
    gateway->n_connections++;
    if (ferry_with(gateway->client, &options, &connection->handle, NULL) < 0 ||
        epoll_ctl(gateway->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0) {
        rpc_connection_free(connection);
        return -ENOMEM;
    }
    return 0;
}

void rpc_connection_free(RpcConnection *connection) {
    Gateway *gateway = connection->gateway;

    connection->ended = true;
    rpc_subscriptions_free(connection);
    /* Ends its calls; the callbacks run here. */
    ferry_close(connection->handle);
    close(connection->fd);
    buffer_deinit(&connection->in);
    buffer_deinit(&connection->out);
    gateway->held -= connection->held;
    if (connection->dirty)
        LL_DELETE2(gateway->dirty, connection, next_dirty);
    DL_DELETE(gateway->connections, connection);
    gateway->n_connections--;
    free(connection);
}
