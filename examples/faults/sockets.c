/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets that fail. See sockets.h. */

#include "sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { HTTP_MS = 1000 };

static Fault os_fault(const char *call) {
    return (Fault){FAULT_OS, errno, call, 0};
}

/* ---- names and connections ---- */

Fault fault_resolve(const char *host, const char *port, struct addrinfo **ret) {
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    int code;

    /* No name server is asked: only addresses and names of this machine are known. */
    if (strcmp(host, "localhost") != 0)
        hints.ai_flags = AI_NUMERICHOST;
    code = getaddrinfo(host, port, &hints, ret);
    if (code == EAI_SYSTEM)
        return os_fault("getaddrinfo");
    return code == 0 ? (Fault){0} : (Fault){FAULT_GAI, code, "getaddrinfo", 0};
}

static int closed_port, silent_port, silent_fd = -1;

static bool is_allowed(const struct sockaddr *address, int port) {
    const struct sockaddr_in *four = (const void *)address;
    const struct sockaddr_in6 *six = (const void *)address;
    const char *more = getenv("FAULTS_PORT");
    bool this_machine = address->sa_family == AF_INET
                            ? ntohl(four->sin_addr.s_addr) == INADDR_LOOPBACK
                        : address->sa_family == AF_INET6 ? IN6_IS_ADDR_LOOPBACK(&six->sin6_addr)
                                                         : false;

    return this_machine && port > 0 &&
           (port == closed_port || port == silent_port || (more && port == atoi(more)));
}

/* Closes the connections that have arrived at the silent port, so that its queue does not fill up.
 */
static void send_visitors_away(void) {
    for (int fd; (fd = accept4(silent_fd, NULL, NULL, SOCK_CLOEXEC)) >= 0;)
        close(fd);
}

Fault fault_connect(const char *host, int port, int *ret_fd) {
    struct addrinfo *addresses = NULL;
    char digits[16];
    Fault fault;
    int fd = -1;

    snprintf(digits, sizeof(digits), "%d", port);
    fault = fault_resolve(host, digits, &addresses);
    if (fault.kind != FAULT_NONE)
        return fault;
    send_visitors_away();
    if (!is_allowed(addresses->ai_addr, port))
        fault.kind = FAULT_FORBIDDEN;
    else if ((fd = socket(addresses->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0)) < 0)
        fault = os_fault("socket");
    else if (connect(fd, addresses->ai_addr, addresses->ai_addrlen) < 0)
        fault = os_fault("connect");
    freeaddrinfo(addresses);
    if (fd >= 0 && (fault.kind != FAULT_NONE || !ret_fd))
        close(fd);
    else if (ret_fd)
        *ret_fd = fd;
    return fault;
}

/* A listener on a free port of loopback, and its address. */
static int listen_somewhere(struct sockaddr_in *address) {
    socklen_t len = sizeof(*address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    *address =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (fd >= 0 && (bind(fd, (struct sockaddr *)address, len) < 0 || listen(fd, 1) < 0 ||
                    getsockname(fd, (struct sockaddr *)address, &len) < 0)) {
        close(fd);
        return -1;
    }
    return fd;
}

/* Both ends of a connection on loopback: 0, or -1 and errno. */
static int connect_pair(int fds[2]) {
    struct sockaddr_in address;
    int listener = listen_somewhere(&address);

    fds[1] = -1;
    fds[0] = listener < 0 ? -1 : socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fds[0] >= 0 && connect(fds[0], (struct sockaddr *)&address, sizeof(address)) == 0)
        fds[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (fds[1] < 0 && fds[0] >= 0)
        close(fds[0]);
    if (listener >= 0)
        close(listener);
    return fds[1] < 0 ? -1 : 0;
}

int fault_hold_ports(int *ret_closed, int *ret_silent) {
    struct sockaddr_in closed = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in silent;
    socklen_t len = sizeof(closed);
    int fd;

    if (silent_fd < 0) { /* both stay open until the process ends */
        fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0 || bind(fd, (struct sockaddr *)&closed, len) < 0 ||
            getsockname(fd, (struct sockaddr *)&closed, &len) < 0 ||
            (silent_fd = listen_somewhere(&silent)) < 0)
            return -errno;
        fcntl(silent_fd, F_SETFL, O_NONBLOCK);
        closed_port = ntohs(closed.sin_port);
        silent_port = ntohs(silent.sin_port);
    }
    *ret_closed = closed_port;
    *ret_silent = silent_port;
    return 0;
}

/* ---- each fault ---- */

Fault fault_bind_taken(void) {
    struct sockaddr_in address;
    int first = listen_somewhere(&address), second = -1;
    Fault fault = {0};

    if (first < 0 || (second = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) < 0)
        fault = os_fault("socket");
    else if (bind(second, (struct sockaddr *)&address, sizeof(address)) < 0)
        fault = os_fault("bind");
    if (first >= 0)
        close(first);
    if (second >= 0)
        close(second);
    return fault;
}

Fault fault_send_to_closed(void) {
    Fault fault = {0};
    int fds[2];

    if (connect_pair(fds) < 0)
        return os_fault("connect");
    close(fds[1]);
    /* The first bytes still leave; the answer to them is a reset. */
    while (fault.kind == FAULT_NONE) {
        if (send(fds[0], "hello", 5, MSG_NOSIGNAL) < 0)
            fault = os_fault("send");
        else
            poll(&(struct pollfd){.fd = fds[0]}, 1, 1000);
    }
    close(fds[0]);
    return fault;
}

/* recv() with a time limit, like Python's settimeout(). A negative result: *fault has the reason.
 */
static ssize_t receive(int fd, char *to, size_t size, int timeout_ms, Fault *fault) {
    struct timeval limit = {timeout_ms / 1000, timeout_ms % 1000 * 1000};
    ssize_t n;

    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    n = recv(fd, to, size, 0);
    if (n < 0 && errno == EAGAIN)
        *fault = (Fault){FAULT_TIMEOUT, ETIMEDOUT, "recv", timeout_ms};
    else if (n < 0)
        *fault = os_fault("recv");
    return n;
}

Fault fault_receive_from_silent(int timeout_ms) {
    Fault fault = {0};
    char data[16];
    int fds[2];

    if (connect_pair(fds) < 0)
        return os_fault("connect");
    receive(fds[0], data, sizeof(data), timeout_ms, &fault);
    close(fds[0]);
    close(fds[1]);
    return fault;
}

Fault fault_http_get(const char *host, int port, char line[256]) {
    static const char request[] = "GET / HTTP/1.0\r\n\r\n";
    size_t len = 0;
    ssize_t n = 1;
    int fd;
    Fault fault = fault_connect(host, port, &fd);

    if (fault.kind != FAULT_NONE)
        return fault;
    if (send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL) < 0)
        fault = os_fault("send");
    while (fault.kind == FAULT_NONE && n > 0 && len < 255 && !memchr(line, '\n', len)) {
        n = receive(fd, line + len, 255 - len, HTTP_MS, &fault);
        len += n > 0 ? (size_t)n : 0;
    }
    close(fd);
    line[len] = '\0';
    line[strcspn(line, "\r\n")] = '\0';
    return fault;
}
