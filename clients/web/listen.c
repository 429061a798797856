/* SPDX-License-Identifier: Apache-2.0 */
/* Listening. See listen.h. */

#include "clients/web/listen.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "base/text.h"

static bool is_loopback(const struct sockaddr *address) {
    if (address->sa_family == AF_INET)
        return ntohl(((const struct sockaddr_in *)(const void *)address)->sin_addr.s_addr) >> 24 ==
               IN_LOOPBACKNET;
    return address->sa_family == AF_INET6 &&
           IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)(const void *)address)->sin6_addr);
}

/* "127.0.0.1:5878", "[::1]:5878" or "localhost:5878". */
static int resolve(const char *text, struct addrinfo **ret, ferry_error *reterr) {
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV};
    const char *colon = strrchr(text, ':'), *address = text;
    char host[64] = "";
    size_t len = colon ? (size_t)(colon - text) : 0;
    uint64_t port;

    if (len > 1 && *address == '[' && address[len - 1] == ']')
        address++, len -= 2;
    else if (memchr(address, ':', len))
        len = 0; /* an IPv6 address needs brackets */
    if (len > 0 && len < sizeof(host)) {
        memcpy(host, address, len);
        if (strcmp(host, "localhost") == 0)
            strcpy(host, "127.0.0.1");
        if (text_parse_count(colon + 1, &port) == 0 && port <= UINT16_MAX &&
            getaddrinfo(host, colon + 1, &hints, ret) == 0)
            return 0;
    }
    return error_set(reterr, "ferry.Misuse",
                     "--listen: '%s' is not an address with a port, as in 127.0.0.1:5878", text);
}

static int refuse_open(const char *address, ferry_error *reterr) {
    return error_set(reterr, "ferry.Misuse",
                     "'%s' is not a loopback address: everybody who reaches it could use the "
                     "broker. Give --tokens, --tls-cert and --tls-key",
                     address);
}

/* The address of a TCP socket that listens; it is made non-blocking. 0, or a negative errno. */
static int address_of(int fd, struct sockaddr_storage *at, socklen_t *len) {
    int is_listening = 0, flags = fcntl(fd, F_GETFL);
    socklen_t size = sizeof(is_listening);

    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
        getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &is_listening, &size) < 0 ||
        getsockname(fd, (struct sockaddr *)at, len) < 0)
        return -errno;
    return is_listening && (at->ss_family == AF_INET || at->ss_family == AF_INET6) ? 0 : -EINVAL;
}

int listen_on(int fd, bool is_guarded, char address_text[ADDRESS_MAX], ferry_error *reterr) {
    struct sockaddr_storage at = {0};
    socklen_t len = sizeof(at);
    char host[64], port[8];
    int r = address_of(fd, &at, &len);

    if (r < 0 || getnameinfo((struct sockaddr *)&at, len, host, sizeof(host), port, sizeof(port),
                             NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        r = error_set(reterr, "ferry.Misuse",
                      "descriptor %d is not a TCP socket that listens: the service manager needs "
                      "ListenStream=ADDRESS:PORT and Accept=no",
                      fd);
    else
        snprintf(address_text, ADDRESS_MAX, at.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host,
                 port);
    if (r == 0 && !is_guarded && !is_loopback((struct sockaddr *)&at))
        r = refuse_open(address_text, reterr);
    if (r == 0)
        return fd;
    close(fd);
    return r;
}

int listen_at(const char *text, bool is_guarded, char address_text[ADDRESS_MAX],
              ferry_error *reterr) {
    struct addrinfo *address = NULL;
    int fd, r = resolve(text, &address, reterr);

    if (r < 0)
        return r;
    if (!is_guarded && !is_loopback(address->ai_addr)) {
        freeaddrinfo(address);
        return refuse_open(text, reterr);
    }
    fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)) < 0 ||
        bind(fd, address->ai_addr, address->ai_addrlen) < 0 || listen(fd, 128) < 0)
        r = error_set_code(reterr, errno, "cannot listen on %s: %s", text, strerror(errno));
    freeaddrinfo(address);
    if (r < 0) {
        if (fd >= 0)
            close(fd);
        return r;
    }
    return listen_on(fd, is_guarded, address_text, reterr);
}
