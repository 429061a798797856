/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Resolves the host of a broker on a thread of its own: getaddrinfo() may block for half a minute
 * if no name server answers. A lookup that its owner has freed ends by itself.
 */

#include <stdbool.h>

#include "base/cleanup.h"

typedef struct Lookup Lookup;

/* True: url contains a host name; false: ipc:// or an address. Every url in this file has passed
 * endpoint_problem(). */
bool lookup_is_needed(const char *url);

/* -ENOMEM, -EAGAIN (no thread), -EMFILE. */
int lookup_new(Lookup **ret, const char *url);
Lookup *lookup_free(Lookup *lookup); /* never waits */

int lookup_fd(const Lookup *lookup); /* readable when it is done */
bool lookup_is_done(const Lookup *lookup);

/* Once done: the url with an address in place of the host name, best address first; NULL: no
 * more. */
const char *lookup_endpoint(const Lookup *lookup, unsigned i);
/* The reason if the lookup found no address. */
const char *lookup_problem(const Lookup *lookup);

DEFINE_CLEANUP(Lookup *, lookup_free);
