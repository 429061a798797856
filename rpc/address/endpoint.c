/* SPDX-License-Identifier: Apache-2.0 */
/* Checks the text of endpoints. See endpoint.h. */

#include "rpc/address/endpoint.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

enum { PORT_MAX = 65535 };

static const char *after(const char *text, const char *prefix) {
    size_t len = strlen(prefix);

    return strncmp(text, prefix, len) == 0 ? text + len : NULL;
}

/* ---- tcp ---- */

/* The colon before the port; NULL: the host or the port is missing. */
static const char *end_of_host(const char *host) {
    const char *colon = strrchr(host, ':');

    return colon && colon > host && colon - host < ENDPOINT_HOST_SIZE ? colon : NULL;
}

static bool is_ipv6(const char *host, size_t len) {
    char text[INET6_ADDRSTRLEN];
    const char *zone = memchr(host, '%', len);
    size_t n = zone ? (size_t)(zone - host) : len;
    struct in6_addr address;

    if (n >= sizeof(text))
        return false;
    memcpy(text, host, n);
    text[n] = '\0';
    return inet_pton(AF_INET6, text, &address) == 1;
}

static bool is_host(const char *host, size_t len, EndpointUse use) {
    if (host[0] == '[')
        return len > 2 && host[len - 1] == ']' && is_ipv6(host + 1, len - 2);
    if (len == 1 && host[0] == '*')
        return use == ENDPOINT_BIND;
    for (size_t i = 0; i < len; i++)
        if (!isalnum((unsigned char)host[i]) && !strchr("-._", host[i]))
            return false;
    return true;
}

static bool is_port(const char *port, EndpointUse use) {
    unsigned number = 0;

    if (strcmp(port, "*") == 0)
        return use == ENDPOINT_BIND;
    if (!*port || strlen(port) > 5 || port[strspn(port, "0123456789")])
        return false;
    sscanf(port, "%u", &number);
    return number <= PORT_MAX && (number > 0 || use == ENDPOINT_BIND);
}

static const char *tcp_problem(const char *host, EndpointUse use) {
    const char *colon = end_of_host(host);

    if (!colon)
        return "tcp:// must be followed by HOST:PORT";
    if (!is_host(host, (size_t)(colon - host), use))
        return "its host is neither a name nor an address (write IPv6 as [::1])";
    if (!is_port(colon + 1, use))
        return "its port is not a number from 1 to 65535";
    return NULL;
}

/* ---- both ---- */

const char *endpoint_after_transport(const char *text) {
    const char *rest = after(text, "zmq+");

    return rest ? rest : text;
}

const char *endpoint_problem(const char *text, EndpointUse use) {
    const char *endpoint = endpoint_after_transport(text);
    const char *host = after(endpoint, "tcp://"), *path = after(endpoint, "ipc://");

    if (host)
        return tcp_problem(host, use);
    if (!path)
        return "it is neither tcp://HOST:PORT nor ipc://PATH";
    if (!*path || strcmp(path, "*") == 0 || strcmp(path, "@") == 0)
        return "ipc:// must be followed by a path";
    if (strlen(path) >= sizeof(((struct sockaddr_un *)0)->sun_path))
        return "its path is longer than 107 bytes";
    return NULL;
}

const char *endpoint_port(const char *text, char ret_host[ENDPOINT_HOST_SIZE]) {
    const char *host = after(text, "tcp://"), *colon = host ? end_of_host(host) : NULL;

    if (!colon)
        return NULL;
    memcpy(ret_host, host, (size_t)(colon - host));
    ret_host[colon - host] = '\0';
    return colon + 1;
}

bool endpoint_is_local(const char *text) {
    char host[ENDPOINT_HOST_SIZE];
    struct in_addr ip;

    if (!endpoint_port(text, host))
        return after(text, "ipc://") != NULL;
    return strcmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0 ||
           (inet_pton(AF_INET, host, &ip) == 1 && ntohl(ip.s_addr) >> 24 == 127);
}

const char *endpoint_path(const char *text) {
    const char *path = after(text, "ipc://");

    return path && *path != '@' ? path : NULL;
}
