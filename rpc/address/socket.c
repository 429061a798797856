/* SPDX-License-Identifier: Apache-2.0 */
/* Opens stream sockets for endpoints. See socket.h. */

#include "rpc/address/socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rpc/address/endpoint.h"

enum { BACKLOG = 1024, USER_TIMEOUT_MS = 10000, KEEPALIVE_S = 10, KEEPALIVE_PROBES = 3 };

/* ---- endpoints to addresses ---- */

static socklen_t unix_address(const char *path, SocketAddress *ret) {
    size_t len = strlen(path);

    ret->un.sun_family = AF_UNIX;
    memcpy(ret->un.sun_path, path, len + 1);
    /* An abstract name has no file. "@name" stands for a zero byte followed by the name. */
    if (*path == '@')
        ret->un.sun_path[0] = '\0';
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + (*path != '@'));
}

/* The first address of a network interface: IPv4 before IPv6. */
static bool interface_address(const char *name, SocketAddress *ret) {
    struct ifaddrs *list;
    int family = AF_UNSPEC;

    if (getifaddrs(&list) < 0)
        return false;
    for (struct ifaddrs *at = list; at && family != AF_INET; at = at->ifa_next) {
        if (!at->ifa_addr || strcmp(at->ifa_name, name) != 0)
            continue;
        if (at->ifa_addr->sa_family == AF_INET)
            memcpy(&ret->v4, at->ifa_addr, sizeof(ret->v4));
        else if (at->ifa_addr->sa_family == AF_INET6 && family == AF_UNSPEC)
            memcpy(&ret->v6, at->ifa_addr, sizeof(ret->v6));
        else
            continue;
        family = at->ifa_addr->sa_family;
    }
    freeifaddrs(list);
    return family != AF_UNSPEC;
}

static bool v6_address(char *host, SocketAddress *ret) {
    char *zone = strchr(host, '%');

    if (zone)
        *zone++ = '\0';
    ret->v6.sin6_family = AF_INET6;
    ret->v6.sin6_scope_id = zone ? if_nametoindex(zone) : 0;
    return inet_pton(AF_INET6, host, &ret->v6.sin6_addr) == 1;
}

static socklen_t tcp_address(const char *endpoint, SocketAddress *ret) {
    char host[ENDPOINT_HOST_SIZE];
    uint16_t port = htons((uint16_t)atoi(endpoint_port(endpoint, host))); /* '*' is 0 */

    if (host[0] == '[') {
        host[strlen(host) - 1] = '\0';
        if (!v6_address(host + 1, ret))
            return 0;
    } else if (strcmp(host, "*") == 0 || strcmp(host, "localhost") == 0) {
        ret->v4.sin_family = AF_INET;
        ret->v4.sin_addr.s_addr = htonl(*host == '*' ? INADDR_ANY : INADDR_LOOPBACK);
    } else if (inet_pton(AF_INET, host, &ret->v4.sin_addr) == 1) {
        ret->v4.sin_family = AF_INET;
    } else if (!interface_address(host, ret)) {
        return 0;
    }
    if (ret->any.sa_family == AF_INET6)
        ret->v6.sin6_port = port;
    else
        ret->v4.sin_port = port;
    return ret->any.sa_family == AF_INET6 ? sizeof(ret->v6) : sizeof(ret->v4);
}

/* Returns the length of the address; 0: the host is not an address. */
static socklen_t address_of(const char *endpoint, SocketAddress *ret) {
    memset(ret, 0, sizeof(*ret));
    return strncmp(endpoint, "ipc://", 6) == 0 ? unix_address(endpoint + 6, ret)
                                               : tcp_address(endpoint, ret);
}

static bool is_loopback(const SocketAddress *address) {
    if (address->any.sa_family == AF_INET)
        return ntohl(address->v4.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
    return address->any.sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&address->v6.sin6_addr);
}

/* BBR, the default on many servers, paces each sender with a timer of the kernel. On the loopback
 * interface the timers took a third of the processor time of a large body, without any use. An
 * accepted connection inherits the setting of its listener. A connection that is open keeps its
 * pacing. */
static void use_no_pacing(int fd) {
    static const char reno[] = "reno";

    setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, reno, sizeof(reno) - 1);
}

static int socket_of(const SocketAddress *address) {
    int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -errno;
    if (is_loopback(address))
        use_no_pacing(fd);
    return fd;
}

/* ---- listening ---- */

/* True: a process listens at this socket file. */
static bool is_live(const SocketAddress *address, socklen_t len) {
    int fd = socket_of(address), r;

    if (fd < 0)
        return true;
    r = connect(fd, &address->any, len) < 0 ? -errno : 0;
    close(fd);
    return r != -ECONNREFUSED && r != -ENOENT;
}

/* Removes a socket file of a broker that no longer runs. */
static int clear_path(const SocketAddress *address, socklen_t len) {
    const char *path = address->un.sun_path;
    struct stat status;

    if (!*path || lstat(path, &status) < 0)
        return 0;
    if (!S_ISSOCK(status.st_mode))
        return -EEXIST;
    if (is_live(address, len))
        return -EADDRINUSE;
    return unlink(path) < 0 ? -errno : 0;
}

typedef struct Listening {
    unsigned ipc_mode; /* 0: by the umask */
    bool both;         /* an IPv6 socket takes IPv4 connections, too */
} Listening;

static int bind_to(int fd, const SocketAddress *address, socklen_t len, const Listening *how) {
    const int one = 1, v6_only = !how->both;

    if (address->any.sa_family != AF_UNIX)
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (address->any.sa_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6_only, sizeof(v6_only));
    if (bind(fd, &address->any, len) < 0)
        return -errno;
    /* Set the permissions before listen(), so that no process can connect while they are wider. */
    if (address->any.sa_family == AF_UNIX && *address->un.sun_path && how->ipc_mode != 0 &&
        chmod(address->un.sun_path, how->ipc_mode) < 0)
        return -errno;
    return listen(fd, BACKLOG) < 0 ? -errno : 0;
}

static int open_bound(const SocketAddress *address, socklen_t len, const Listening *how) {
    int fd = socket_of(address), r;

    if (fd < 0)
        return fd;
    r = bind_to(fd, address, len, how);
    if (r < 0)
        close(fd);
    return r < 0 ? r : fd;
}

/* The address that stands for all IPv4 and IPv6 addresses, with the port of an IPv4 address. */
static SocketAddress all_of_both(const SocketAddress *v4) {
    SocketAddress both = {.v6 = {.sin6_family = AF_INET6, .sin6_port = v4->v4.sin_port}};

    return both;
}

void socket_unmap(SocketAddress *address) {
    struct sockaddr_in6 v6 = address->v6;

    if (v6.sin6_family != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr))
        return;
    *address = (SocketAddress){.v4 = {.sin_family = AF_INET, .sin_port = v6.sin6_port}};
    memcpy(&address->v4.sin_addr, v6.sin6_addr.s6_addr + 12, 4);
}

int socket_listen(const char *endpoint, unsigned ipc_mode, int *ret_fd,
                  char ret_endpoint[SOCKET_ENDPOINT_MAX]) {
    SocketAddress address, both;
    socklen_t len = address_of(endpoint, &address);
    char text[SOCKET_TEXT_MAX];
    int fd, r;

    if (len == 0)
        return -ENODEV;
    r = address.any.sa_family == AF_UNIX ? clear_path(&address, len) : 0;
    if (r < 0)
        return r;
    fd = -EAFNOSUPPORT;
    if (strncmp(endpoint, "tcp://*:", 8) == 0) {
        both = all_of_both(&address);
        fd = open_bound(&both, sizeof(both.v6), &(Listening){.both = true});
    }
    if (fd == -EAFNOSUPPORT || fd == -EADDRNOTAVAIL)
        fd = open_bound(&address, len, &(Listening){.ipc_mode = ipc_mode});
    if (fd < 0)
        return fd;
    snprintf(ret_endpoint, SOCKET_ENDPOINT_MAX, "%s", endpoint);
    len = sizeof(address);
    if (address.any.sa_family != AF_UNIX && getsockname(fd, &address.any, &len) == 0) {
        socket_text(fd, &address.any, text);
        snprintf(ret_endpoint, SOCKET_ENDPOINT_MAX, "tcp://%s", text);
    }
    *ret_fd = fd;
    return 0;
}

/* ---- connecting ---- */

int socket_connect(const char *endpoint, int *ret_fd) {
    SocketAddress address;
    socklen_t len = address_of(endpoint, &address);
    int fd, r;

    if (len == 0)
        return -EINVAL;
    fd = socket_of(&address);
    if (fd < 0)
        return fd;
    r = connect(fd, &address.any, len) < 0 ? -errno : 0;
    /* -EAGAIN: the queue of a Unix socket is full, and the kernel does not report when it has
     * room. */
    if (r < 0 && r != -EINPROGRESS) {
        close(fd);
        return r;
    }
    socket_tune(fd);
    *ret_fd = fd;
    return 0;
}

void socket_tune(int fd) {
    const struct {
        int level, option, value;
    } settings[] = {
        {IPPROTO_TCP, TCP_NODELAY, 1},
        {IPPROTO_TCP, TCP_USER_TIMEOUT, USER_TIMEOUT_MS},
        {SOL_SOCKET, SO_KEEPALIVE, 1},
        {IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_S},
        {IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_S / KEEPALIVE_PROBES},
        {IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES},
    };

    /* A Unix socket refuses these options and does not need them. */
    for (size_t i = 0; i < sizeof(settings) / sizeof(*settings); i++)
        setsockopt(fd, settings[i].level, settings[i].option, &settings[i].value, sizeof(int));
}

void socket_text(int fd, const struct sockaddr *address, char to[SOCKET_TEXT_MAX]) {
    const struct sockaddr_in *v4 = (const void *)address;
    const struct sockaddr_in6 *v6 = (const void *)address;
    struct ucred peer = {0};
    socklen_t len = sizeof(peer);
    char host[INET6_ADDRSTRLEN] = "";

    if (address->sa_family == AF_INET) {
        inet_ntop(AF_INET, &v4->sin_addr, host, sizeof(host));
        snprintf(to, SOCKET_TEXT_MAX, "%s:%u", host, ntohs(v4->sin_port));
    } else if (address->sa_family == AF_INET6) {
        inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof(host));
        snprintf(to, SOCKET_TEXT_MAX, "[%s]:%u", host, ntohs(v6->sin6_port));
    } else {
        getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len);
        snprintf(to, SOCKET_TEXT_MAX, "process %ld", (long)peer.pid);
    }
}
