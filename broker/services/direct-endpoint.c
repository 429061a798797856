/* SPDX-License-Identifier: Apache-2.0 */
/* Endpoints of servers. See direct-endpoint.h. */

#include "broker/services/direct-endpoint.h"

#include <stdio.h>

#include "rpc/address/endpoint.h"
#include "rpc/keys/key.h"

static bool is_of_this_machine(const DirectOrigin *origin) {
    char endpoint[DIRECT_ENDPOINT_MAX];

    if (!*origin->host)
        return true;
    snprintf(endpoint, sizeof(endpoint), "tcp://%s:1", origin->host);
    return endpoint_is_local(endpoint);
}

static const char *tcp_endpoint(const char *text, const DirectOrigin *origin,
                                char ret[DIRECT_ENDPOINT_MAX]) {
    const char *host = text + 6, *colon = strrchr(host, ':');
    size_t len = (size_t)(colon - host);
    bool is_local = is_of_this_machine(origin);

    if ((len == 7 && memcmp(host, "0.0.0.0", 7) == 0) || (len == 4 && memcmp(host, "[::]", 4) == 0))
        snprintf(ret, DIRECT_ENDPOINT_MAX, "tcp://%s%s", *origin->host ? origin->host : "127.0.0.1",
                 colon);
    else if ((is_local && endpoint_is_local(text)) ||
             (strlen(origin->host) == len && memcmp(origin->host, host, len) == 0))
        snprintf(ret, DIRECT_ENDPOINT_MAX, "%s", text);
    else
        return "its host is not the address that the server's session comes from";
    return NULL;
}

const char *direct_endpoint(Span announced, Span key, const DirectOrigin *origin,
                            char ret[DIRECT_ENDPOINT_MAX]) {
    char text[DIRECT_ENDPOINT_MAX];
    const char *path, *problem;

    if (announced.len >= sizeof(text))
        return "it is longer than 127 bytes";
    memcpy(text, announced.data, announced.len);
    text[announced.len] = '\0';
    for (size_t i = 0; i < announced.len; i++)
        if (announced.data[i] <= ' ' || announced.data[i] > '~' || strchr(",?", text[i]))
            return "it has a comma, a question mark, a space, or a character that is not ASCII";
    if (key.len != 0 && key.len != KEY_SIZE)
        return "its key does not have 32 bytes";
    if (endpoint_after_transport(text) != text)
        return "direct calls take ferry's own transport: tcp:// or ipc://";
    problem = endpoint_problem(text, ENDPOINT_CONNECT);
    if (problem)
        return problem;
    path = strncmp(text, "ipc://", 6) == 0 ? text + 6 : NULL;
    if (!path && origin->needs_key && key.len == 0)
        return "the broker has keys, so a tcp:// endpoint needs a key: connect the server with "
               "keys";
    if (!path)
        return tcp_endpoint(text, origin, ret);
    if (*path != '/' && *path != '@')
        return "an ipc:// endpoint needs a path from the root";
    if (!is_of_this_machine(origin))
        return "an ipc:// endpoint is for servers on the broker's machine";
    snprintf(ret, DIRECT_ENDPOINT_MAX, "%s", text);
    return NULL;
}
