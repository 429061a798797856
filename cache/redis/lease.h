/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Leases in Redis: the right to compute a key, given to one process at a time. A lease is stored
 * beside its key, in the same slot of a cluster, so that one script can read both.
 */

#include "base/buffer.h"
#include "rpc/wire/reader.h"

/* Writes the key of a key's lease. Out of memory is recorded in the buffer. */
void lease_key(Span key, bool cluster, Buffer *ret);

/* KEYS: key, lease. ARGV: token, header of the entry to replace ("": the key must not exist),
 * value, milliseconds ("0": no time to live). 1: stored; 0: not stored. */
extern const char lease_commit_script[];

/* KEYS: lease. ARGV: token. */
extern const char lease_release_script[];
