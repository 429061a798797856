/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers and options of scratch sockets, and the path MTU. */

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "handlers.h"

enum { FILENOS_MAX = 100, IP_HEADER = 20, IP6_HEADER = 40, UDP_HEADER = 8, PAYLOAD_MAX = 65507 };

static const struct {
    const char *name, *level;
    int level_number, number;
} known[] = {
#define OPTION(level, name)                                                                        \
    { #name, #level, level, name }
    OPTION(SOL_SOCKET, SO_TYPE),       OPTION(SOL_SOCKET, SO_REUSEADDR),
    OPTION(SOL_SOCKET, SO_REUSEPORT),  OPTION(SOL_SOCKET, SO_BROADCAST),
    OPTION(SOL_SOCKET, SO_DONTROUTE),  OPTION(SOL_SOCKET, SO_KEEPALIVE),
    OPTION(SOL_SOCKET, SO_SNDBUF),     OPTION(SOL_SOCKET, SO_RCVBUF),
    OPTION(SOL_SOCKET, SO_ERROR),      OPTION(SOL_SOCKET, SO_DOMAIN),
    OPTION(SOL_SOCKET, SO_PROTOCOL),   OPTION(SOL_SOCKET, SO_ACCEPTCONN),
    OPTION(IPPROTO_IP, IP_TTL),        OPTION(IPPROTO_IP, IP_TOS),
    OPTION(IPPROTO_IP, IP_MTU),        OPTION(IPPROTO_IP, IP_MTU_DISCOVER),
    OPTION(IPPROTO_IPV6, IPV6_V6ONLY), OPTION(IPPROTO_TCP, TCP_NODELAY),
    OPTION(IPPROTO_TCP, TCP_MAXSEG),   OPTION(IPPROTO_TCP, TCP_DEFER_ACCEPT),
};

enum { N_KNOWN = sizeof(known) / sizeof(known[0]) };

/* A descriptor, or a negative errno; -EDOM: the kind is unknown. */
static int scratch(sockets_kind kind) {
    bool six = kind == SOCKETS_KIND_TCP6 || kind == SOCKETS_KIND_UDP6;
    bool tcp = kind == SOCKETS_KIND_TCP || kind == SOCKETS_KIND_TCP6;
    int fd;

    if (kind < SOCKETS_KIND_TCP || kind > SOCKETS_KIND_UDP6)
        return -EDOM;
    fd = socket(six ? AF_INET6 : AF_INET, (tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC, 0);
    return fd < 0 ? -errno : fd;
}

static int throw_no_scratch(ferry_request *request, int r) {
    if (r == -EDOM)
        return sockets_throw_bad_value(request,
                                       &(sockets_bad_value){"kind", "no socket of this kind"});
    return throw_os_error(request, "socket", -r);
}

static int find(const char *name) {
    for (int i = 0; i < N_KNOWN; i++)
        if (strcmp(known[i].name, name) == 0)
            return i;
    return -1;
}

static int throw_no_such_option(ferry_request *request, const char *name) {
    const char *names[N_KNOWN];

    for (int i = 0; i < N_KNOWN; i++)
        names[i] = known[i].name;
    return sockets_throw_no_such_option(
        request, &(sockets_no_such_option){name, {N_KNOWN, names}, "no option of this name"});
}

static const char *meaning(int i, int value) {
    static const char *const types[] = {"", "SOCK_STREAM", "SOCK_DGRAM", "SOCK_RAW"};
    static const char *const discoveries[] = {"IP_PMTUDISC_DONT", "IP_PMTUDISC_WANT",
                                              "IP_PMTUDISC_DO", "IP_PMTUDISC_PROBE"};
    bool is_type = strcmp(known[i].name, "SO_TYPE") == 0;

    if (strcmp(known[i].name, "SO_DOMAIN") == 0)
        return value == AF_INET6 ? "AF_INET6" : "AF_INET";
    if (strcmp(known[i].name, "SO_PROTOCOL") == 0)
        return value == IPPROTO_TCP ? "IPPROTO_TCP" : "IPPROTO_UDP";
    if (value < 0 || value > 3)
        return "";
    if (strcmp(known[i].name, "IP_MTU_DISCOVER") == 0)
        return discoveries[value];
    return is_type ? types[value] : "";
}

/* 0, or a negative errno. */
static int read_option(int fd, int i, sockets_option *ret) {
    int value = 0;

    if (getsockopt(fd, known[i].level_number, known[i].number, &value,
                   &(socklen_t){sizeof(value)}) < 0)
        return -errno;
    *ret =
        (sockets_option){known[i].name, known[i].level, known[i].number, value, meaning(i, value)};
    return 0;
}

/* ---- handlers ---- */

int filenos(ferry_request *request, int32_t count, void *ctx) {
    int fds[FILENOS_MAX], error = 0, n = 0;

    (void)ctx;
    if (count < 1 || count > FILENOS_MAX)
        return sockets_throw_bad_value(request,
                                       &(sockets_bad_value){"count", "1 to 100 sockets are made"});
    while (n < count && error == 0) {
        fds[n] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fds[n] < 0)
            error = errno;
        else
            n++;
    }
    for (int i = 0; i < n; i++)
        close(fds[i]);
    if (error != 0)
        return throw_os_error(request, "socket", error);
    fds[n - 1] = -1; /* as a closed socket of Python reports itself */
    return sockets_filenos_return(request, &(ferry_list_i32){(size_t)n, fds});
}

int get_option(ferry_request *request, sockets_kind kind, const char *name, void *ctx) {
    sockets_option option;
    int i = find(name), fd, r;

    (void)ctx;
    if (i < 0)
        return throw_no_such_option(request, name);
    fd = scratch(kind);
    if (fd < 0)
        return throw_no_scratch(request, fd);
    r = read_option(fd, i, &option);
    close(fd);
    return r < 0 ? throw_os_error(request, "getsockopt", -r)
                 : sockets_get_option_return(request, &option);
}

int list_options(ferry_request *request, sockets_kind kind, void *ctx) {
    sockets_option options[N_KNOWN];
    int fd = scratch(kind);
    size_t n = 0;

    (void)ctx;
    if (fd < 0)
        return throw_no_scratch(request, fd);
    for (int i = 0; i < N_KNOWN;
         i++) /* options that this kind of socket does not have are left out */
        n += read_option(fd, i, &options[n]) == 0;
    close(fd);
    return sockets_options_return(request, &(sockets_list_option){n, options});
}

int set_option(ferry_request *request, sockets_kind kind, const char *name, int32_t value,
               void *ctx) {
    sockets_option before, after;
    const char *call = "getsockopt";
    int i = find(name), fd, r;

    (void)ctx;
    if (i < 0)
        return throw_no_such_option(request, name);
    fd = scratch(kind);
    if (fd < 0)
        return throw_no_scratch(request, fd);
    r = read_option(fd, i, &before);
    if (r == 0 &&
        setsockopt(fd, known[i].level_number, known[i].number, &value, sizeof(value)) < 0) {
        call = "setsockopt";
        r = -errno;
    }
    if (r == 0)
        r = read_option(fd, i, &after);
    close(fd);
    return r < 0 ? throw_os_error(request, call, -r)
                 : sockets_set_option_return(request, &(sockets_change){before.value, after.value});
}

static int ask_mtu(int fd, bool six, const struct sockaddr *to, socklen_t len, int *ret_mtu,
                   const char **ret_call) {
    int discover = six ? IPV6_PMTUDISC_DO : IP_PMTUDISC_DO, level = six ? IPPROTO_IPV6 : IPPROTO_IP;

    *ret_call = "setsockopt";
    if (setsockopt(fd, level, six ? IPV6_MTU_DISCOVER : IP_MTU_DISCOVER, &discover,
                   sizeof(discover)) < 0)
        return -errno;
    *ret_call = "connect"; /* for UDP, connect() looks the route up and sends nothing */
    if (connect(fd, to, len) < 0)
        return -errno;
    *ret_call = "getsockopt";
    if (getsockopt(fd, level, six ? IPV6_MTU : IP_MTU, ret_mtu, &(socklen_t){sizeof(*ret_mtu)}) < 0)
        return -errno;
    return 0;
}

int path_mtu(ferry_request *request, const char *address, void *ctx) {
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(60000)};
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(60000)};
    bool is_six = inet_pton(AF_INET6, address, &six.sin6_addr) == 1;
    int fd, mtu = 0, payload, r;
    const char *call;

    (void)ctx;
    if (!is_six && inet_pton(AF_INET, address, &four.sin_addr) != 1)
        return sockets_throw_bad_value(
            request, &(sockets_bad_value){address, "neither an IPv4 nor an IPv6 address"});
    fd = scratch(is_six ? SOCKETS_KIND_UDP6 : SOCKETS_KIND_UDP);
    if (fd < 0)
        return throw_no_scratch(request, fd);
    r = is_six ? ask_mtu(fd, true, (struct sockaddr *)&six, sizeof(six), &mtu, &call)
               : ask_mtu(fd, false, (struct sockaddr *)&four, sizeof(four), &mtu, &call);
    close(fd);
    if (r < 0)
        return throw_os_error(request, call, -r);
    payload = mtu - UDP_HEADER - (is_six ? IP6_HEADER : IP_HEADER);
    return sockets_path_mtu_return(
        request, &(sockets_path){address, mtu, payload < PAYLOAD_MAX ? payload : PAYLOAD_MAX});
}
