/* SPDX-License-Identifier: Apache-2.0 */
/* Checks the origin of requests. See guard.h. */

#include "clients/web/http/guard.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { HOST_MAX = 256 };

/* Copies the host without its port and brackets. False: it is malformed. */
static bool strip_port(const char *host, char to[HOST_MAX]) {
    const char *end = *host == '[' ? strchr(host, ']') : host + strcspn(host, ":");
    const char *start = *host == '[' ? host + 1 : host, *port;
    size_t len = end ? (size_t)(end - start) : 0;

    if (len == 0 || len >= HOST_MAX)
        return false;
    port = *end == ']' ? end + 1 : end;
    if (*port && (*port != ':' || !port[1] || port[1 + strspn(port + 1, "0123456789")]))
        return false;
    memcpy(to, start, len);
    to[len] = '\0';
    return true;
}

static bool is_host_known(const char *host, const GuardNames *names) {
    unsigned char address[sizeof(struct in6_addr)];
    char name[HOST_MAX];

    if (!strip_port(host, name))
        return false;
    if (strcasecmp(name, "localhost") == 0 || inet_pton(AF_INET, name, address) == 1 ||
        inet_pton(AF_INET6, name, address) == 1)
        return true;
    for (size_t i = 0; i < names->n; i++)
        if (strcasecmp(name, names->v[i]) == 0)
            return true;
    return false;
}

static bool is_same_origin(const char *origin, const char *host, const char *scheme) {
    size_t len = strlen(scheme);

    return strncasecmp(origin, scheme, len) == 0 && strncmp(origin + len, "://", 3) == 0 &&
           strcasecmp(origin + len + 3, host) == 0;
}

bool guard_type_is(const char *content_type, const char *type) {
    size_t len = strlen(type);

    if (!content_type || strncasecmp(content_type, type, len) != 0)
        return false;
    content_type += len;
    while (*content_type == ' ' || *content_type == '\t')
        content_type++;
    return *content_type == '\0' || *content_type == ';';
}

static bool is_type_taken(const GuardRequest *request) {
    const char *type = request->content_type;

    return guard_type_is(type, "application/json") ||
           (request->takes_lines && guard_type_is(type, "application/x-ndjson")) ||
           (request->takes_bytes && (guard_type_is(type, "application/octet-stream") ||
                                     guard_type_is(type, "application/msgpack")));
}

unsigned guard_check(const GuardRequest *request, const GuardNames *names, const char **ret_why) {
    if (!request->host || !is_host_known(request->host, names)) {
        *ret_why = "the Host header must be an address, localhost or a name of --name";
        return 421;
    }
    if (request->is_page)
        return 0;
    *ret_why = "requests from pages of other sites are refused";
    if (request->fetch_site && strcasecmp(request->fetch_site, "same-origin") != 0 &&
        strcasecmp(request->fetch_site, "none") != 0)
        return 403;
    if (request->origin && !is_same_origin(request->origin, request->host, names->scheme))
        return 403;
    if (request->is_read)
        return 0;
    if (!is_type_taken(request)) {
        *ret_why = request->takes_bytes
                       ? "the Content-Type must be application/json, application/octet-stream or "
                         "application/msgpack"
                   : request->takes_lines
                       ? "the Content-Type must be application/json or application/x-ndjson"
                       : "the Content-Type must be application/json";
        return 415;
    }
    if (request->is_action &&
        (!request->ferry_request || strcmp(request->ferry_request, "1") != 0)) {
        *ret_why = "the header 'Ferry-Request: 1' is missing";
        return 403;
    }
    return 0;
}
