#pragma once

/*
 * Leases in Redis: the right to compute a key, given to one process at a time. A lease lies beside
 * its key, in the same slot of a cluster, so that one script can look at both.
 */

#include "base/buffer.h"
#include "rpc/wire/reader.h"

/* The key of the lease of a key. Out of memory sticks in the buffer. */
void lease_key(Span key, bool cluster, Buffer *ret);

/* KEYS: key, lease. ARGV: token, header of the entry to take the place of ("": none), value, ms
 * ("0": for ever). 1: stored; 0: not. */
extern const char lease_commit_script[];

/* KEYS: lease. ARGV: token. */
extern const char lease_release_script[];
