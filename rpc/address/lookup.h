/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Resolves the host of a broker, or the name that stands for several brokers, on a thread of its
 * own: getaddrinfo() may block for half a minute if no name server answers. If the owner frees a
 * running lookup, its thread still ends and frees the memory.
 */

#include <stdbool.h>

#include "base/cleanup.h"

typedef struct Lookup Lookup;

/* True: url contains a host name; false: ipc:// or an address. All functions expect a url that
 * endpoint_problem() or lookup_problem_of() has accepted. */
bool lookup_is_needed(const char *url);

/* True: url is tcp+dns://NAME:PORT (each address of the name is a broker) or tcp+srv://NAME (SRV
 * records list the brokers). */
bool lookup_finds_brokers(const char *url);

/* Returns NULL if a url for which lookup_finds_brokers() is true is valid, or else a description of
 * the problem. */
const char *lookup_problem_of(const char *url);

/* Starts a lookup. -ENOMEM; -EMFILE; -EAGAIN: the system could not start a thread. */
int lookup_new(Lookup **ret, const char *url);
Lookup *lookup_free(Lookup *lookup); /* never waits */

int lookup_fd(const Lookup *lookup); /* readable when it is done */
bool lookup_is_done(const Lookup *lookup);

/* Call this when the lookup is done. Returns the url with the i-th address in place of the host
 * name, best address first; for a name that stands for several brokers, the url of the i-th broker.
 * NULL: there is no further one. At most BROKERS_MAX are returned. */
const char *lookup_endpoint(const Lookup *lookup, unsigned i);
/* The reason why the lookup found no address. */
const char *lookup_problem(const Lookup *lookup);

DEFINE_CLEANUP(Lookup *, lookup_free);
