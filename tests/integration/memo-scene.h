/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the suites of memoised methods share: the handlers of memo.Users, each of which counts how
 * often it is asked, and the cache that a suite's argument names: memory, redis, near (all of it is
 * kept near), far (nothing is), cluster.
 */

#include <ferry/cache.h>

#include "cache/cache-setup.h"
#include "y_memo.h"

/* Users that cannot be found for reasons of their own; others below zero are just nobody. */
enum { MEMO_FIELDLESS = -101, MEMO_UNDECLARED = -102 };

extern const memo_users_handlers memo_handlers; /* all but slow and forget */

/* Requests that reached a handler. memo_count(): with one more. */
int64_t memo_count(void);
int times_asked(void);

extern bool with_redis, over_cluster, never_near;
extern CacheSetup memo_servers; /* of the cache, between memo_start() and memo_stop() */

/* The first argument of main(). False: there is no Redis for it. */
bool memo_choose(int argc, char **argv);
void memo_start(void);
ferry_cache *memo_cache(void);
void memo_stop(void);
