/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The store that keeps queues in Redis: one server, the master that Sentinels name, or a Cluster.
 * docs/durability.md says what it promises; script.h describes the keys in Redis.
 *
 * All queues of a store form a space, which has a name and belongs to one broker at a time, by a
 * lease. A second broker of the same space waits until the lease ends.
 */

#include "broker/stores/store.h"

/* A store for this URL: redis://HOST[:PORT][/DB], rediss://, redis+unix://, redis+sentinel:// or
 * redis+cluster://, as for a cache, with further settings behind '?':
 *   name=NAME    the space (default "ferry"): 1 to 64 letters, digits, '-', '_', '.'
 *   id=ID        the data must have this id: an emptied or another Redis is an error
 *   wait=N       a change is confirmed when N replicas have it (default 0)
 *   lease=TIME   after this time without a sign of life another broker takes over (default 10s)
 * It connects in restore(). 0, or a negative errno with its cause in reterr. */
int store_redis_new(const char *url, Store **ret, ferry_error *reterr);
/* After close(). Returns NULL. */
Store *store_redis_free(Store *store);
