/* SPDX-License-Identifier: Apache-2.0 */
/* The resolver's functions as a service: hosts and addresses. lookups.c has the tables. */

#include <arpa/inet.h>
#include <netdb.h>
#include <stdlib.h>
#include <unistd.h>

#include "lookups.h"
#include "resolve.h"
#include "server.h"

enum { RESULTS_MAX = 256, BUFFER = 8192 };

static int throw_gai(ferry_request *request, int code, int saved) {
    const int32_t os_errno = saved;

    return names_throw_gai_error(request,
                                 &(names_gai_error){code, gai_name(code), gai_strerror(code),
                                                    code == EAI_SYSTEM ? &os_errno : NULL});
}

static int gethostname_(ferry_request *request, void *ctx) {
    char name[256] = "";

    (void)ctx;
    if (gethostname(name, sizeof(name) - 1) < 0)
        return -errno;
    return names_gethostname_return(request, name);
}

static int gethostbyname_(ferry_request *request, const char *host, void *ctx) {
    const struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    char text[INET6_ADDRSTRLEN];
    int r = getaddrinfo(host, NULL, &hints, &found);

    (void)ctx;
    if (r != 0)
        return throw_gai(request, r, errno);
    r = getnameinfo(found->ai_addr, found->ai_addrlen, text, sizeof(text), NULL, 0, NI_NUMERICHOST);
    freeaddrinfo(found);
    return r != 0 ? throw_gai(request, r, errno) : names_gethostbyname_return(request, text);
}

static size_t count(char **list) {
    size_t n = 0;

    while (list[n])
        n++;
    return n;
}

/* 0, or an EAI code. ret_failure: h_errno, if the address has no name. */
static int find_host(const char *address, int flags, struct hostent *host, char *buffer,
                     int *ret_failure) {
    const struct addrinfo hints = {.ai_flags = flags, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    struct hostent *result = NULL;
    int r = getaddrinfo(address, NULL, &hints, &found);

    if (r != 0)
        return r;
    if (found->ai_family == AF_INET)
        r = gethostbyaddr_r(&((struct sockaddr_in *)found->ai_addr)->sin_addr, 4, AF_INET, host,
                            buffer, BUFFER, &result, ret_failure);
    else
        r = gethostbyaddr_r(&((struct sockaddr_in6 *)found->ai_addr)->sin6_addr, 16, AF_INET6, host,
                            buffer, BUFFER, &result, ret_failure);
    freeaddrinfo(found);
    if (result)
        *ret_failure = 0;
    else if (r != 0 || *ret_failure == 0)
        *ret_failure = *ret_failure == 0 ? NO_RECOVERY : *ret_failure;
    return 0;
}

static int gethostbyaddr_(ferry_request *request, const char *address, void *ctx) {
    char buffer[BUFFER], texts[RESULTS_MAX][INET6_ADDRSTRLEN];
    const char *addresses[RESULTS_MAX];
    struct hostent host;
    int failure = 0, r = find_host(address, 0, &host, buffer, &failure);
    size_t n = 0;

    (void)ctx;
    if (r != 0)
        return throw_gai(request, r, errno);
    if (failure != 0)
        return names_throw_host_error(request, &(names_host_error){failure, hstrerror(failure)});
    for (; host.h_addr_list[n] && n < RESULTS_MAX; n++)
        addresses[n] = inet_ntop(host.h_addrtype, host.h_addr_list[n], texts[n], sizeof(texts[n]));
    return names_gethostbyaddr_return(
        request, &(names_host){host.h_name,
                               {count(host.h_aliases), (const char *const *)host.h_aliases},
                               {n, addresses}});
}

static int getfqdn_(ferry_request *request, const char *host, void *ctx) {
    char own[256] = "", buffer[BUFFER];
    const char *name = host && *host ? host : own, *found;
    struct hostent entry;
    int failure = 0;

    (void)ctx;
    if (gethostname(own, sizeof(own) - 1) < 0)
        return -errno;
    if (find_host(name, 0, &entry, buffer, &failure) != 0 || failure != 0)
        return names_getfqdn_return(request, name);
    found = entry.h_name;
    for (char **alias = entry.h_aliases; !strchr(found, '.') && *alias; alias++)
        if (strchr(*alias, '.'))
            found = *alias;
    return names_getfqdn_return(request, found);
}

static int flag_bits(const names_set_address_flag *flags) {
    static const int bits[] = {
        0,           AI_PASSIVE, AI_CANONNAME, AI_NUMERICHOST, AI_NUMERICSERV,
        AI_V4MAPPED, AI_ALL,     AI_ADDRCONFIG};
    int all = 0;

    for (size_t i = 0; i < flags->n; i++) /* a flag that is unknown here is refused: EAI_BADFLAGS */
        all |= flags->v[i] > 0 && flags->v[i] < 8 ? bits[flags->v[i]] : 1 << 30;
    return all;
}

static int getaddrinfo_(ferry_request *request, const char *host, const char *service,
                        names_family family, names_kind kind, int32_t protocol,
                        const names_set_address_flag *flags, void *ctx) {
    static const int kinds[] = {0, SOCK_STREAM, SOCK_DGRAM, SOCK_RAW};
    const struct addrinfo hints = {
        .ai_flags = flag_bits(flags),
        .ai_family = names_family_bits(family),
        .ai_socktype = kind >= 0 && kind <= NAMES_KIND_RAW ? kinds[kind] : INT16_MAX,
        .ai_protocol = protocol,
    };
    names_address_info results[RESULTS_MAX];
    char texts[RESULTS_MAX][NI_MAXHOST];
    struct addrinfo *found = NULL;
    int r = getaddrinfo(host, service, &hints, &found);
    size_t n = 0;

    (void)ctx;
    if (r != 0)
        return throw_gai(request, r, errno);
    for (struct addrinfo *i = found; i && n < RESULTS_MAX; i = i->ai_next, n++) {
        char port[NI_MAXSERV] = "0";

        r = getnameinfo(i->ai_addr, i->ai_addrlen, texts[n], sizeof(texts[n]), port, sizeof(port),
                        NI_NUMERICHOST | NI_NUMERICSERV);
        if (r != 0)
            break;
        results[n] =
            (names_address_info){i->ai_family == AF_INET6 ? NAMES_FAMILY_INET6 : NAMES_FAMILY_INET,
                                 i->ai_socktype == SOCK_STREAM  ? NAMES_KIND_STREAM
                                 : i->ai_socktype == SOCK_DGRAM ? NAMES_KIND_DGRAM
                                                                : NAMES_KIND_RAW,
                                 i->ai_protocol,
                                 i->ai_canonname ? i->ai_canonname : "",
                                 texts[n],
                                 atoi(port)};
    }
    r = r != 0 ? throw_gai(request, r, errno)
               : names_getaddrinfo_return(request, &(names_list_address_info){n, results});
    freeaddrinfo(found);
    return r;
}

static int getnameinfo_(ferry_request *request, const char *address, int32_t port,
                        const names_set_name_flag *flags, void *ctx) {
    static const int bits[] = {0, NI_NUMERICHOST, NI_NUMERICSERV, NI_NOFQDN, NI_NAMEREQD, NI_DGRAM};
    const struct addrinfo hints = {.ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_STREAM};
    char host[NI_MAXHOST], service[NI_MAXSERV];
    struct addrinfo *parsed = NULL;
    int all = 0, r;

    (void)ctx;
    if (port < 0 || port > UINT16_MAX)
        return names_throw_range(request, port, UINT16_MAX);
    if (getaddrinfo(address, NULL, &hints, &parsed) != 0)
        return names_throw_bad_address(
            request,
            &(names_bad_address){address, NULL, NULL, "neither an IPv4 nor an IPv6 address"});
    for (size_t i = 0; i < flags->n; i++)
        all |= flags->v[i] > 0 && flags->v[i] < 6 ? bits[flags->v[i]] : 1 << 30;
    ((struct sockaddr_in *)parsed->ai_addr)->sin_port = htons((uint16_t)port); /* both families */
    r = getnameinfo(parsed->ai_addr, parsed->ai_addrlen, host, sizeof(host), service,
                    sizeof(service), all);
    freeaddrinfo(parsed);
    return r != 0 ? throw_gai(request, r, errno)
                  : names_getnameinfo_return(request, &(names_name_info){host, service});
}

int names_start(ferry_client *client, ferry_error *reterr) {
    static const names_handlers handlers = {
        .gethostname = gethostname_,
        .gethostbyname = gethostbyname_,
        .gethostbyaddr = gethostbyaddr_,
        .getfqdn = getfqdn_,
        .getaddrinfo = getaddrinfo_,
        .getnameinfo = getnameinfo_,
        .getservbyname = lookup_service,
        .getservbyport = lookup_port,
        .getprotobyname = lookup_protocol,
        .inet_pton = lookup_pton,
        .inet_ntop = lookup_ntop,
        .htons = swap_16,
        .ntohs = swap_16_back,
        .htonl = swap_32,
        .ntohl = swap_32_back,
    };

    return names_serve(client, &handlers, NULL, NULL, NULL, reterr);
}
