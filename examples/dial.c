/* SPDX-License-Identifier: Apache-2.0 */
/* Connecting to a host by name. See dial.h. */

#include "dial.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static uint64_t now_ms(void) {
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* ---- the list of allowed hosts ---- */

/* True: the entry covers the host and port. An entry is "host", "host:port", "[address]:port" or an
 * IPv6 address without a port. */
static bool covers(const char *entry, size_t len, const char *host, const char *port) {
    const char *end = memchr(entry, ']', len), *colon = memrchr(entry, ':', len);
    size_t host_len = strlen(host);

    if (len > 0 && entry[0] == '[' && end) {
        colon = end + 1 < entry + len && end[1] == ':' ? end + 1 : NULL;
        len = (size_t)(colon ? colon + 1 + strlen(port) - entry : end + 1 - entry);
        return (size_t)(end - entry - 1) == host_len && memcmp(entry + 1, host, host_len) == 0 &&
               (!colon ||
                (strncmp(colon + 1, port, strlen(port)) == 0 && strchr(", ", entry[len]) != NULL));
    }
    if (colon && memchr(entry, ':', len) == colon) {
        if ((size_t)(entry + len - colon - 1) != strlen(port) ||
            memcmp(colon + 1, port, strlen(port)) != 0)
            return false;
        len = (size_t)(colon - entry);
    }
    return len == host_len && strncasecmp(entry, host, len) == 0;
}

bool dial_allowed(const char *setting, const char *host, const char *port) {
    const char *list = getenv(setting);
    size_t len;

    if (!list || !*host)
        return false;
    for (list += strspn(list, ", "); *list; list += len, list += strspn(list, ", ")) {
        len = strcspn(list, ", ");
        if (covers(list, len, host, port))
            return true;
    }
    return false;
}

/* ---- connecting ---- */

/* A descriptor, or a negative errno. */
static int connect_one(const struct addrinfo *to, uint64_t until_ms) {
    int fd = socket(to->ai_family, to->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, to->ai_protocol);
    struct pollfd ready = {.fd = fd, .events = POLLOUT};
    uint64_t now;
    int error = 0;

    if (fd < 0)
        return -errno;
    if (connect(fd, to->ai_addr, to->ai_addrlen) < 0)
        error = errno;
    if (error == EINPROGRESS) {
        now = now_ms();
        error = ETIMEDOUT;
        if (poll(&ready, 1, until_ms > now ? (int)(until_ms - now) : 0) > 0)
            getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &(socklen_t){sizeof(error)});
    }
    if (error != 0) {
        close(fd);
        return -error;
    }
    return fd;
}

static void make_blocking(int fd, uint32_t timeout_ms) {
    struct timeval limit = {timeout_ms / 1000, timeout_ms % 1000 * 1000};

    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
}

bool dial_host(Dial *dial, int family, const char *host, const char *service, uint32_t timeout_ms) {
    const struct addrinfo hints = {
        .ai_family = family, .ai_socktype = SOCK_STREAM, .ai_flags = AI_CANONNAME | AI_V4MAPPED};
    uint64_t until_ms = now_ms() + timeout_ms;
    struct addrinfo *found = NULL;

    *dial = (Dial){.fd = -1};
    dial->gai = getaddrinfo(host, service, &hints, &found);
    dial->gai_errno = dial->gai == EAI_SYSTEM ? errno : 0;
    for (const struct addrinfo *to = found; to && dial->fd < 0; to = to->ai_next) {
        DialAttempt *attempt = &dial->attempts[dial->n_attempts];
        char port[8] = "";

        if (dial->n_attempts == DIAL_ATTEMPTS_MAX)
            break;
        if (to->ai_canonname)
            strncat(dial->canonname, to->ai_canonname, sizeof(dial->canonname) - 1);
        getnameinfo(to->ai_addr, to->ai_addrlen, attempt->address, sizeof(attempt->address), port,
                    sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV);
        dial->port = atoi(port);
        dial->family = to->ai_family;
        dial->fd = connect_one(to, until_ms);
        attempt->error = dial->fd < 0 ? -dial->fd : 0;
        dial->n_attempts++;
    }
    if (found)
        freeaddrinfo(found);
    if (dial->fd >= 0)
        make_blocking(dial->fd, timeout_ms > 0 ? timeout_ms : 1);
    else
        dial->fd = -1;
    return dial->fd >= 0;
}

int send_all(int fd, const void *data, size_t len) {
    for (size_t at = 0; at < len;) {
        ssize_t n = send(fd, (const char *)data + at, len - at, MSG_NOSIGNAL);

        if (n < 0)
            return -errno;
        at += (size_t)n;
    }
    return 0;
}
