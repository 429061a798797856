/* SPDX-License-Identifier: Apache-2.0 */
/* Identifies a program that answers in place of a broker. See probe.h. */

#include "clients/cli/run/probe.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"

enum { WAIT_MS = 500, ZMTP_FIRST = 0xFF };

static void fd_closep(int *fd) {
    if (*fd >= 0)
        close(*fd);
}

DEFINE_CLEANUP(struct addrinfo *, freeaddrinfo);

/* "tcp://host:port" and "tcp://[::1]:port". */
static struct addrinfo *find(const char *url) {
    const char *host = url + strlen("tcp://"), *colon = strrchr(url, ':');
    struct addrinfo *found = NULL, wanted = {.ai_socktype = SOCK_STREAM};
    bool is_bracketed = *host == '[';
    char name[256];

    /* A list of brokers is not probed: it may have other brokers that answer. */
    if (strncmp(url, "tcp://", 6) != 0 || colon <= host || strchr(url, ','))
        return NULL;
    snprintf(name, sizeof(name), "%.*s", (int)(colon - host - (is_bracketed ? 2 : 0)),
             host + is_bracketed);
    return getaddrinfo(name, colon + 1, &wanted, &found) == 0 ? found : NULL;
}

/* Sends the beginning of a ZMTP greeting that is also a line, and reads the answer. Returns its
 * length; 0: no answer. */
static size_t ask(const struct addrinfo *address, char *answer, size_t size) {
    static const char greeting[] = "\xFF\0\0\0\0\0\0\0\1\x7F\r\n\r\n";
    CLEANUP(fd_close)
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct pollfd events = {.fd = fd, .events = POLLOUT};
    ssize_t n;

    if (fd < 0)
        return 0;
    if (connect(fd, address->ai_addr, address->ai_addrlen) < 0 && errno != EINPROGRESS)
        return 0;
    if (poll(&events, 1, WAIT_MS) != 1 ||
        send(fd, greeting, sizeof(greeting) - 1, MSG_NOSIGNAL) < 0)
        return 0;
    events.events = POLLIN;
    if (poll(&events, 1, WAIT_MS) != 1)
        return 0;
    n = recv(fd, answer, size, 0);
    return n > 0 ? (size_t)n : 0;
}

bool probe_finds_other(const char *url, char *problem, size_t size) {
    CLEANUP(freeaddrinfo) struct addrinfo *found = find(url);
    char answer[64];
    size_t n = 0;

    for (const struct addrinfo *at = found; at && n == 0; at = at->ai_next)
        n = ask(at, answer, sizeof(answer));
    if (n == 0 || (unsigned char)answer[0] == ZMTP_FIRST)
        return false;
    snprintf(problem, size, "%s answers at %s instead of a ferry broker",
             n > 5 && memcmp(answer, "HTTP/", 5) == 0 ? "an HTTP server"
             : answer[0] == '-' || answer[0] == '+'   ? "a Redis server"
                                                      : "another program",
             url);
    return true;
}
