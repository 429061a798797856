/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The parts that both suites of memoised methods share: the handlers of memo.Users, which count
 * their calls, and the cache. The program's argument names the cache: memory, redis, near (all
 * values are kept near), far (no value is kept near), cluster.
 */

#include <ferry/cache.h>

#include "cache/cache-setup.h"
#include "y_memo.h"

/* Users whose lookup fails with special errors; other ids below zero are unknown users. */
enum { MEMO_FIELDLESS = -101, MEMO_UNDECLARED = -102 };

extern const memo_users_handlers memo_handlers; /* all handlers except slow and forget */

/* The number of requests that reached a handler. memo_count() adds one. */
int64_t memo_count(void);
int times_asked(void);

extern bool with_redis, over_cluster, never_near;
extern CacheSetup memo_servers; /* the servers of the cache; all tests of the program share them */

void memo_start(void); /* for each test: empties the servers */

/* The cache's timeout_ms: a read that takes longer counts as a miss. The first is long for a busy
 * machine, and short enough for calls to wait for Redis at all; with the second, a call waits for a
 * frozen Redis only a short time. */
enum { MEMO_PATIENCE_MS = 5000, MEMO_FROZEN_MS = 100 };
ferry_cache *memo_cache(uint32_t timeout_ms);

int memo_calls_suite(void); /* memo-calls.c: EXIT_SUCCESS or EXIT_FAILURE */
int memo_serve_suite(void); /* memo-serve.c */
