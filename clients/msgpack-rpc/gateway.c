/* SPDX-License-Identifier: Apache-2.0 */
/* Listeners, and the turns of all connections. See gateway.h. */

#include "clients/msgpack-rpc/gateway.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>

#include "base/error.h"
#include "base/log.h"
#include "clients/msgpack-rpc/connection.h"
#include "rpc/address/endpoint.h"

enum {
    EVENTS = 64,
    ACCEPTS = 16,       /* connections accepted in one turn */
    SOCKET_MODE = 0600, /* of a socket file: only its owner may connect */
};

/* ---- listening ---- */

static int watch(const Gateway *gateway, int fd, void *mark) {
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = mark};

    return epoll_ctl(gateway->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static int listen_on(Gateway *gateway, const char *url, ferry_error *reterr) {
    bool is_unix = strncmp(url, "unix:", 5) == 0;
    char endpoint[SOCKET_ENDPOINT_MAX], bound[SOCKET_ENDPOINT_MAX];
    const char *problem;
    int r, fd;

    snprintf(endpoint, sizeof(endpoint), "%s%s", is_unix ? "ipc://" : "", is_unix ? url + 5 : url);
    problem = endpoint_problem(endpoint, ENDPOINT_BIND);
    if (problem)
        return error_set(reterr, "ferry.InvalidArgument",
                         "cannot listen on '%s': %s (tcp://HOST:PORT or unix:PATH)", url, problem);
    if (!endpoint_is_local(endpoint) && !gateway->options->insecure)
        return error_set(reterr, "ferry.PermissionDenied",
                         "%s can be reached from other machines, by anybody: msgpack-rpc has no "
                         "keys. Listen on loopback or unix:PATH, or add --insecure",
                         url);
    r = socket_listen(endpoint, SOCKET_MODE, &fd, bound);
    if (r == 0 && (r = watch(gateway, fd, gateway)) < 0)
        close(fd);
    if (r < 0)
        return error_set_code(reterr, r, "cannot listen on %s: %s", url, strerror(-r));
    gateway->listeners[gateway->n_listeners++] = fd;
    log_info("listening on %s%s", is_unix ? "unix:" : "", is_unix ? url + 5 : bound);
    return 0;
}

/* Accepts and closes a connection when no descriptor is left: otherwise the kernel would report it
 * again and again. */
static void refuse_without_descriptor(Gateway *gateway, int listener) {
    close(gateway->spare_fd);
    close(accept(listener, NULL, NULL));
    gateway->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    gateway_log(gateway, "a connection is refused: problem='no file descriptor is left'");
}

/* False: no connection waits. */
static bool accept_one(Gateway *gateway, int listener) {
    SocketAddress address = {0};
    socklen_t len = sizeof(address);
    char peer[SOCKET_TEXT_MAX];
    int fd = accept4(listener, &address.any, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd < 0 && (errno == EMFILE || errno == ENFILE)) {
        refuse_without_descriptor(gateway, listener);
        return false;
    }
    if (fd < 0)
        return false;
    if (gateway->n_connections >= gateway->max_connections) {
        socket_text(fd, &address.any, peer);
        gateway_log(gateway, "a connection is refused: peer=%s problem='%u connections'", peer,
                    gateway->n_connections);
        close(fd);
    } else if (rpc_connection_new(gateway, fd, &address.any) < 0) {
        gateway_log(gateway, "a connection is refused: problem='out of memory'");
    }
    return true;
}

static void accept_some(Gateway *gateway) {
    for (size_t i = 0; i < gateway->n_listeners; i++)
        for (int n = 0; n < ACCEPTS && accept_one(gateway, gateway->listeners[i]); n++)
            continue;
}

/* ---- turns ---- */

int gateway_fd(const Gateway *gateway) {
    return gateway->epoll_fd;
}

static void free_if_ended(RpcConnection *connection) {
    if (connection->ended)
        rpc_connection_free(connection);
}

static void process_dirty(Gateway *gateway) {
    RpcConnection *connection = gateway->dirty, *next;
    uint64_t n;

    if (read(gateway->wake_fd, &n, sizeof(n)) < 0 && !connection)
        return;
    gateway->dirty = NULL;
    for (RpcConnection *one = connection; one; one = one->next_dirty)
        one->dirty = false;
    for (; connection; connection = next) {
        next = connection->next_dirty;
        if (!connection->ended)
            rpc_connection_process(connection, 0);
    }
}

void gateway_process(Gateway *gateway) {
    struct epoll_event events[EVENTS];
    int n = epoll_wait(gateway->epoll_fd, events, EVENTS, 0);
    bool has_new = false;
    RpcConnection *connection, *next;

    for (int i = 0; i < n; i++) {
        if (events[i].data.ptr == gateway)
            has_new = true;
        else if (events[i].data.ptr)
            rpc_connection_process(events[i].data.ptr, events[i].events);
    }
    process_dirty(gateway);
    DL_FOREACH_SAFE(gateway->connections, connection, next) {
        free_if_ended(connection);
    }
    if (has_new)
        accept_some(gateway);
}

/* ---- new and free ---- */

static int open_descriptors(Gateway *gateway) {
    gateway->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    gateway->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    gateway->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (gateway->epoll_fd < 0 || gateway->wake_fd < 0 || gateway->spare_fd < 0)
        return -errno;
    return watch(gateway, gateway->wake_fd, NULL);
}

int gateway_new(Gateway **ret, ferry_client *client, const GatewayOptions *options,
                ferry_error *reterr) {
    Gateway *gateway = calloc(1, sizeof(*gateway));
    int r;

    if (gateway)
        gateway->listeners = calloc(options->n_listen + 1, sizeof(int));
    if (!gateway || !gateway->listeners) {
        free(gateway);
        return error_set_code(reterr, -ENOMEM, NULL);
    }
    gateway->client = client;
    gateway->options = options;
    gateway->max_connections =
        options->max_connections ? options->max_connections : GATEWAY_CONNECTIONS;
    gateway->max_message = options->max_message ? options->max_message : GATEWAY_MESSAGE;
    gateway->max_memory = options->max_memory ? options->max_memory : GATEWAY_MEMORY;
    r = open_descriptors(gateway);
    if (r < 0)
        error_set_code(reterr, r, NULL);
    for (size_t i = 0; i < options->n_listen && r == 0; i++)
        r = listen_on(gateway, options->listen[i], reterr);
    if (r < 0) {
        gateway_free(gateway);
        return r;
    }
    *ret = gateway;
    return 0;
}

Gateway *gateway_free(Gateway *gateway) {
    if (!gateway)
        return NULL;
    while (gateway->connections)
        rpc_connection_free(gateway->connections);
    for (size_t i = 0; i < gateway->n_listeners; i++)
        close(gateway->listeners[i]);
    close(gateway->epoll_fd);
    close(gateway->wake_fd);
    close(gateway->spare_fd);
    free(gateway->listeners);
    free(gateway);
    return NULL;
}
