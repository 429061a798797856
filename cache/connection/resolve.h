#pragma once

/*
 * Names to addresses without waiting longer than one wants to. Numbers need no lookup. For names
 * glibc's getaddrinfo_a() asks on a helper thread of its own, because getaddrinfo() has no
 * deadline.
 */

#include <netdb.h>
#include <stdbool.h>
#include <stdint.h>

#include "cache/connection/url.h"

typedef struct Resolve {
    struct gaicb *asked; /* on its way; freed only when glibc is done with it */
    struct addrinfo *found;
    struct addrinfo *at; /* the address to try next; NULL: none left */
} Resolve;

/* Begins a lookup. 0: the addresses are there; -EINPROGRESS: resolve_poll(); -ENOENT: no such name;
 * -ENOMEM. */
int resolve_begin(Resolve *resolve, const CacheHost *host);

/* Waits until until_ns, 0: not at all. As resolve_begin(). */
int resolve_poll(Resolve *resolve, uint64_t until_ns);

void resolve_deinit(Resolve *resolve);
