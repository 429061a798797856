/* SPDX-License-Identifier: Apache-2.0 */
/* Resolves host names without blocking the caller. See lookup.h. */

#include "rpc/address/lookup.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/random.h"
#include "base/thread.h"
#include "rpc/address/endpoint-list.h"
#include "rpc/address/endpoint.h"
#include "rpc/address/srv.h"

enum { ENDPOINT_SIZE = SRV_TARGET_SIZE + 16, PORT_SIZE = 8 };

struct Lookup {
    int owners; /* atomic; the owners are the caller and the thread */
    int done;   /* atomic */
    int fd;
    bool asks_for_srv;
    unsigned n;
    char endpoints[BROKERS_MAX][ENDPOINT_SIZE];
    char host[ENDPOINT_HOST_SIZE], port[PORT_SIZE];
    char problem[SRV_PROBLEM_SIZE]; /* empty: no problem */
};

static const char dns[] = "tcp+dns://", srv[] = "tcp+srv://";

static bool begins_with(const char *url, const char *text) {
    return strncmp(url, text, strlen(text)) == 0;
}

/* The port of an endpoint with a host name, which is copied; NULL: it has no host name. */
static const char *port_of(const char *url, char ret_host[ENDPOINT_HOST_SIZE]) {
    const char *port = endpoint_port(url, ret_host);
    struct in_addr address;

    return port && *ret_host != '[' && inet_pton(AF_INET, ret_host, &address) != 1 ? port : NULL;
}

bool lookup_is_needed(const char *url) {
    char host[ENDPOINT_HOST_SIZE];

    return port_of(url, host) != NULL;
}

bool lookup_finds_brokers(const char *url) {
    return begins_with(url, dns) || begins_with(url, srv);
}

/* The URL of one broker at this name. False: it is too long. */
static bool as_endpoint(const char *url, char to[ENDPOINT_SIZE]) {
    int len = snprintf(to, ENDPOINT_SIZE, begins_with(url, srv) ? "tcp://%s:1" : "tcp://%s",
                       url + strlen(dns));

    return len < ENDPOINT_SIZE;
}

const char *lookup_problem_of(const char *url) {
    char endpoint[ENDPOINT_SIZE];

    if (!as_endpoint(url, endpoint) || endpoint_problem(endpoint, ENDPOINT_CONNECT) ||
        !lookup_is_needed(endpoint))
        return begins_with(url, srv)
                   ? "tcp+srv:// must be followed by a name, without a port"
                   : "tcp+dns:// must be followed by a name and a port: NAME:PORT";
    return NULL;
}

static void unref(Lookup *lookup) {
    if (__atomic_sub_fetch(&lookup->owners, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    close(lookup->fd);
    free(lookup);
}

static void note_address(Lookup *lookup, const struct addrinfo *one) {
    const char *format = one->ai_family == AF_INET6 ? "tcp://[%s]:%s" : "tcp://%s:%s";
    char host[64];

    if (getnameinfo(one->ai_addr, one->ai_addrlen, host, sizeof(host), NULL, 0, NI_NUMERICHOST) ==
        0)
        snprintf(lookup->endpoints[lookup->n++], ENDPOINT_SIZE, format, host, lookup->port);
}

static void find_addresses(Lookup *lookup) {
    const struct addrinfo wanted = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    int code = getaddrinfo(lookup->host, lookup->port, &wanted, &list);

    if (code != 0) {
        snprintf(lookup->problem, sizeof(lookup->problem), "%s", gai_strerror(code));
        return;
    }
    for (struct addrinfo *at = list; at && lookup->n < BROKERS_MAX; at = at->ai_next)
        if (at->ai_family == AF_INET || at->ai_family == AF_INET6)
            note_address(lookup, at);
    freeaddrinfo(list);
}

static void find_services(Lookup *lookup) {
    uint64_t random[SRV_RECORDS_MAX];
    SrvAnswer answer;

    if (srv_find(lookup->host, &answer) < 0) {
        snprintf(lookup->problem, sizeof(lookup->problem), "%s", answer.problem);
        return;
    }
    random_bytes(random, sizeof(random));
    srv_arrange(&answer, random);
    for (unsigned i = 0; i < answer.n && i < BROKERS_MAX; i++)
        snprintf(lookup->endpoints[lookup->n++], ENDPOINT_SIZE, "tcp://%s:%u",
                 answer.records[i].target, answer.records[i].port);
}

static void *look(void *arg) {
    Lookup *lookup = arg;
    uint64_t one = 1;

    if (lookup->asks_for_srv)
        find_services(lookup);
    else
        find_addresses(lookup);
    __atomic_store_n(&lookup->done, 1, __ATOMIC_RELEASE);
    while (write(lookup->fd, &one, sizeof(one)) < 0 && errno == EINTR)
        ;
    unref(lookup);
    return NULL;
}

int lookup_new(Lookup **ret, const char *url) {
    Lookup *lookup = calloc(1, sizeof(*lookup));
    char endpoint[ENDPOINT_SIZE];
    const char *port;
    int r = 0;

    if (!lookup)
        return -ENOMEM;
    lookup->asks_for_srv = begins_with(url, srv);
    if (lookup_finds_brokers(url) && as_endpoint(url, endpoint))
        url = endpoint;
    port = port_of(url, lookup->host);
    snprintf(lookup->port, sizeof(lookup->port), "%s", port ? port : "");
    lookup->owners = 2;
    lookup->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (lookup->fd < 0)
        r = -errno;
    else if ((r = port ? thread_start(NULL, look, lookup) : -EINVAL) < 0)
        close(lookup->fd);
    if (r < 0)
        free(lookup);
    else
        *ret = lookup;
    return r;
}

Lookup *lookup_free(Lookup *lookup) {
    if (lookup)
        unref(lookup);
    return NULL;
}

int lookup_fd(const Lookup *lookup) {
    return lookup->fd;
}

bool lookup_is_done(const Lookup *lookup) {
    return __atomic_load_n(&lookup->done, __ATOMIC_ACQUIRE) != 0;
}

const char *lookup_endpoint(const Lookup *lookup, unsigned i) {
    return i < lookup->n ? lookup->endpoints[i] : NULL;
}

const char *lookup_problem(const Lookup *lookup) {
    return *lookup->problem ? lookup->problem : "the host has no address";
}
