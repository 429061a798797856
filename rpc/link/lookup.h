/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Finds out the addresses of a broker's host, on a thread of its own: that may take half a minute
 * when no name server answers, and libzmq would spend it on the one thread that carries all
 * connections of the process. What is looked up for nobody any more ends by itself.
 */

#include <stdbool.h>

#include "base/cleanup.h"

typedef struct Lookup Lookup;

/* Is there a name in it? Else it is ipc:// or an address. All urls here have no endpoint_problem().
 */
bool lookup_is_needed(const char *url);

/* -ENOMEM, -EAGAIN (no thread), -EMFILE. */
int lookup_new(Lookup **ret, const char *url);
Lookup *lookup_free(Lookup *lookup); /* never waits */

int lookup_fd(const Lookup *lookup); /* readable when it is done */
bool lookup_is_done(const Lookup *lookup);

/* Once done: its endpoints with addresses in place of the name, best first; NULL: no more. */
const char *lookup_endpoint(const Lookup *lookup, unsigned i);
/* Why there are none. */
const char *lookup_problem(const Lookup *lookup);

DEFINE_CLEANUP(Lookup *, lookup_free);
