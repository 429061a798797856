/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The near cache: copies of values of Redis in this process, which are dropped when the values
 * change. Each Redis server remembers the keys that this process reads (CLIENT TRACKING) and
 * reports changed keys on a second connection (REDIRECT, which works with RESP2). These reports are
 * called invalidations, and the second connection is the tracking connection.
 *
 * No thread listens. A look-up first reads the invalidations if the last read was NEAR_LOOK_US ago
 * or earlier. A value is returned only while every Redis server has answered a PING that was sent
 * less than stale_ms ago on its tracking connection. Invalidations and answers arrive in order, so
 * every change before that PING is known. This bounds the staleness, also if a connection dies
 * without notice. If either connection of a server is lost, all values are dropped.
 */

#include <stdbool.h>

#include "cache/connection/conn.h"
#include "cache/memory/memory.h"

enum { NEAR_LOOK_US = 1000 };

typedef struct Near Near;
typedef struct NearLink NearLink;

int near_new(Near **ret, uint64_t max_bytes, uint32_t stale_ms);
Near *near_free(Near *near); /* free all links first */
DEFINE_CLEANUP(Near *, near_free);

/* Connects one Redis server to the near cache: the tracking connection, and the commands that the
 * data connection must send. */
int near_link_new(NearLink **ret, Near *near, const ConnOptions *options);
NearLink *near_link_free(NearLink *link); /* free it before the data connection */
DEFINE_CLEANUP(NearLink *, near_link_free);

/* The callbacks greet, greeted and lost of the data connection's options, with the link as ctx. */
unsigned near_link_greet(Buffer *out, void *ctx);
int near_link_greeted(unsigned i, const Reply *reply, void *ctx);
void near_link_lost(void *ctx);

/* Sets the data connection. Only attached links count for the bound on staleness. */
void near_link_attach(NearLink *link, Conn *data);
void near_link_detach(NearLink *link); /* this server has no keys any more */

/* MEMORY_FOUND: *ret is one block, owned by the caller. MEMORY_ABSENT. -ENOMEM. */
int near_get(Near *near, Span key, uint64_t hash, ferry_bytes **ret);

/* Taken before the value is requested. A token of zeros never matches, so the value is not kept. */
typedef struct NearToken {
    uint64_t epoch;
    uint32_t count;
} NearToken;

NearToken near_begin(Near *near, uint64_t hash);

/* Keeps an answer of Redis, unless Redis has reported a change of the key since near_begin().
 * ttl_ms: UINT64_MAX: no limit. */
void near_keep(Near *near, NearToken token, Span key, uint64_t hash, Span value, uint64_t ttl_ms);

/* This process changes the key: call it before the command is sent, and again after the reply. */
void near_forget(Near *near, Span key, uint64_t hash);

void near_flush(Near *near);

typedef struct NearStats {
    uint64_t hits, invalidations, flushes;
} NearStats;

NearStats near_stats(Near *near);
Memory *near_memory(Near *near);
