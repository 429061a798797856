/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Resolves host names with a deadline. Numeric addresses need no look-up. For names, glibc's
 * getaddrinfo_a() asks on a helper thread, because getaddrinfo() has no deadline.
 */

#include <netdb.h>
#include <stdbool.h>
#include <stdint.h>

#include "cache/connection/url.h"

typedef struct Resolve {
    struct gaicb *asked; /* a look-up in flight; freed only after glibc is done with it */
    struct addrinfo *found;
    struct addrinfo *at; /* the address to try next; NULL: no address is left */
} Resolve;

/* Begins a look-up. 0: the addresses are known; -EINPROGRESS: call resolve_poll(); -ENOENT: the
 * name does not exist; -ENOMEM. */
int resolve_begin(Resolve *resolve, const CacheHost *host);

/* Waits until until_ns at most; 0: does not wait. Returns as resolve_begin(). */
int resolve_poll(Resolve *resolve, uint64_t until_ns);

void resolve_deinit(Resolve *resolve);
