#pragma once

/*
 * The near cache: values of Redis kept in this process too, and kept true. Each Redis remembers
 * what we read (CLIENT TRACKING) and tells a second connection which keys have changed since
 * (REDIRECT, which works with the protocol's version 2).
 *
 * There is no thread that listens. Who looks something up reads the news first when the last look
 * is NEAR_LOOK_US old. A hit is given only while every Redis has answered a PING that was sent less
 * than stale_ms ago on the connection that brings the news: news and answers come in order, so
 * whatever changed before that PING is known by then. That is the bound, even when a connection
 * dies without a word. When either connection of a Redis is lost, everything is dropped.
 */

#include <stdbool.h>

#include "cache/connection/conn.h"
#include "cache/memory/memory.h"

enum { NEAR_LOOK_US = 1000 };

typedef struct Near Near;
typedef struct NearLink NearLink;

int near_new(Near **ret, uint64_t max_bytes, uint32_t stale_ms);
Near *near_free(Near *near); /* after its links */
DEFINE_CLEANUP(Near *, near_free);

/* What ties one Redis to the near cache: the connection for news, and what the other needs to say.
 */
int near_link_new(NearLink **ret, Near *near, const ConnOptions *options);
NearLink *near_link_free(NearLink *link); /* before the data connection */
DEFINE_CLEANUP(NearLink *, near_link_free);

/* For the options of the data connection: greet, greeted and lost, with the link as ctx. */
unsigned near_link_greet(Buffer *out, void *ctx);
int near_link_greeted(unsigned i, const Reply *reply, void *ctx);
void near_link_lost(void *ctx);

/* The data connection, once it is there. Only linked ones count for the bound. */
void near_link_attach(NearLink *link, Conn *data);
void near_link_detach(NearLink *link); /* this Redis has no keys any more */

/* MEMORY_FOUND: *ret is one block, the caller's. MEMORY_ABSENT. -ENOMEM. */
int near_get(Near *near, Span key, uint64_t hash, ferry_bytes **ret);

/* Before the value is asked for. Zero ones never match: nothing is kept then. */
typedef struct NearToken {
    uint64_t epoch;
    uint32_t count;
} NearToken;

NearToken near_begin(Near *near, uint64_t hash);

/* Keeps what Redis answered, unless something was heard about the key since near_begin().
 * ttl_ms: UINT64_MAX: none. */
void near_keep(Near *near, NearToken token, Span key, uint64_t hash, Span value, uint64_t ttl_ms);

/* This process changes the key itself: before it says so to Redis, and again after the reply. */
void near_forget(Near *near, Span key, uint64_t hash);

void near_flush(Near *near);

typedef struct NearStats {
    uint64_t hits, invalidations, flushes;
} NearStats;

NearStats near_stats(Near *near);
Memory *near_memory(Near *near);
