/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Stream sockets by endpoint: "tcp://ADDRESS:PORT" or "ipc://PATH" (see endpoint_problem()). */

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/un.h>

typedef union SocketAddress {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_un un;
} SocketAddress;

enum {
    SOCKET_ENDPOINT_MAX = 256,
    SOCKET_TEXT_MAX = 64, /* of one end of a connection */
};

/* Opens a non-blocking, close-on-exec socket that listens. A host may be '*', a numeric address,
 * localhost or the name of an interface; '*' is all addresses of both families. A socket file
 * without a listener is replaced. ipc_mode has the permissions of the new file (0: by the umask).
 * ret_endpoint receives the bound endpoint: for port 0 or '*' the kernel chooses a port.
 * -EADDRINUSE; -EEXIST: the path exists and is not a socket; -ENODEV: the interface does not exist;
 * errors of bind(). */
int socket_listen(const char *endpoint, unsigned ipc_mode, int *ret_fd,
                  char ret_endpoint[SOCKET_ENDPOINT_MAX]);

/* On a listener of both families, an IPv4 peer has an IPv6 address that contains its IPv4 address.
 * Turns it back into the IPv4 address. */
void socket_unmap(SocketAddress *address);

/* Starts to connect. The socket becomes writable when connecting has succeeded or failed. The host
 * must be numeric. */
int socket_connect(const char *endpoint, int *ret_fd);

/* Sends small frames at once, and makes the kernel end a connection whose other end accepts no byte
 * for 10 s. */
void socket_tune(int fd);

/* "127.0.0.1:4711", "[::1]:4711", or "process 4711" for a Unix socket. */
void socket_text(int fd, const struct sockaddr *address, char to[SOCKET_TEXT_MAX]);
