/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Stream sockets by endpoint: "tcp://ADDRESS:PORT" or "ipc://PATH", as endpoint_problem() allows.
 */

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/un.h>

typedef union SocketAddress {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_un un;
} SocketAddress;

enum { SOCKET_TEXT_MAX = 256 };

/* Non-blocking, close-on-exec and bound. A host may be '*', a numeric address, localhost or the
 * name of an interface. A socket file that nobody listens on any more is replaced. ret_endpoint
 * receives what was bound: port 0 or '*' picks a port. -EADDRINUSE, -EEXIST: something else than a
 * socket is at the path, -ENODEV: no such interface, and what bind() says. */
int socket_listen(const char *endpoint, int *ret_fd, char ret_endpoint[SOCKET_TEXT_MAX]);

/* Begins to connect; the socket is writable when that is over. A host must be numeric. */
int socket_connect(const char *endpoint, int *ret_fd);

/* What a connecting socket came to: 0 or a negative errno. */
int socket_connected(int fd);

/* Small frames leave at once, and the kernel gives up a line that takes no byte for 10 s. */
void socket_tune(int fd);

/* "127.0.0.1:4711", "[::1]:4711", or "process 4711" for a Unix socket. */
void socket_text(int fd, const struct sockaddr *address, char to[SOCKET_TEXT_MAX]);
