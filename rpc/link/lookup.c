/* SPDX-License-Identifier: Apache-2.0 */
/* Resolves host names without blocking the caller. See lookup.h. */

#include "rpc/link/lookup.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { ENDPOINTS_MAX = 8, ENDPOINT_SIZE = 96, HOST_SIZE = 256, PORT_SIZE = 8 };

struct Lookup {
    int owners; /* atomic; the owners are the caller and the thread */
    int done;   /* atomic */
    int fd;
    int code; /* result of getaddrinfo() */
    unsigned n;
    char endpoints[ENDPOINTS_MAX][ENDPOINT_SIZE];
    char host[HOST_SIZE], port[PORT_SIZE];
};

/* Splits a valid endpoint into host name and port. False: it contains no host name. */
static bool take_apart(const char *url, char host[HOST_SIZE], char port[PORT_SIZE]) {
    const char *name = url + strlen("tcp://"), *colon = strrchr(url, ':');
    struct in_addr address;

    if (strncmp(url, "tcp://", 6) != 0 || *name == '[')
        return false;
    snprintf(host, HOST_SIZE, "%.*s", (int)(colon - name), name);
    snprintf(port, PORT_SIZE, "%s", colon + 1);
    return inet_pton(AF_INET, host, &address) != 1;
}

bool lookup_is_needed(const char *url) {
    char host[HOST_SIZE], port[PORT_SIZE];

    return take_apart(url, host, port);
}

static void unref(Lookup *lookup) {
    if (__atomic_sub_fetch(&lookup->owners, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    close(lookup->fd);
    free(lookup);
}

static void note(Lookup *lookup, const struct addrinfo *one) {
    char *to = lookup->endpoints[lookup->n], host[64];

    if (getnameinfo(one->ai_addr, one->ai_addrlen, host, sizeof(host), NULL, 0, NI_NUMERICHOST) !=
        0)
        return;
    snprintf(to, ENDPOINT_SIZE, one->ai_family == AF_INET6 ? "tcp://[%s]:%s" : "tcp://%s:%s", host,
             lookup->port);
    lookup->n++;
}

static void *look(void *arg) {
    const struct addrinfo wanted = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    Lookup *lookup = arg;
    uint64_t one = 1;

    lookup->code = getaddrinfo(lookup->host, lookup->port, &wanted, &list);
    if (lookup->code == 0) {
        for (struct addrinfo *at = list; at && lookup->n < ENDPOINTS_MAX; at = at->ai_next)
            if (at->ai_family == AF_INET || at->ai_family == AF_INET6)
                note(lookup, at);
        freeaddrinfo(list);
    }
    __atomic_store_n(&lookup->done, 1, __ATOMIC_RELEASE);
    while (write(lookup->fd, &one, sizeof(one)) < 0 && errno == EINTR)
        ;
    unref(lookup);
    return NULL;
}

/* The thread is detached and blocks all signals: the program's own threads get them. */
static int start_thread(Lookup *lookup) {
    pthread_attr_t attributes;
    sigset_t all, before;
    pthread_t thread;
    int r;

    r = pthread_attr_init(&attributes);
    if (r != 0)
        return -r;
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    r = pthread_create(&thread, &attributes, look, lookup);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return -r;
}

int lookup_new(Lookup **ret, const char *url) {
    Lookup *lookup = calloc(1, sizeof(*lookup));
    int r;

    if (!lookup)
        return -ENOMEM;
    lookup->owners = 2;
    lookup->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    r = lookup->fd < 0 ? -errno : 0;
    if (r == 0)
        r = take_apart(url, lookup->host, lookup->port) ? start_thread(lookup) : -EINVAL;
    if (r < 0) {
        if (lookup->fd >= 0)
            close(lookup->fd);
        free(lookup);
        return r;
    }
    *ret = lookup;
    return 0;
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
    return lookup->code ? gai_strerror(lookup->code) : "the host has no address";
}
