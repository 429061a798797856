/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The common part of pools of threads and pools of processes. See ferry/pool.h. */

#include <ferry/pool.h>

#include <errno.h>
#include <stdint.h>

enum {
    POOL_MEMBERS_MAX = 1024,
    POOL_STOP_MS = 10000,
    POOL_SETTLED_MS = 10000, /* a member that lived this long did not fail at start */
    POOL_PAUSE_MS = 100,
    POOL_PAUSE_MAX_MS = 10000,
};

struct ferry_pool {
    unsigned n;
    uint32_t stop_ms;
    void (*on_exit)(unsigned member, int status, const ferry_error *error, void *ctx);
    void *ctx;
    const char *url;               /* in texts, like all strings of client; NULL: the default */
    ferry_options client;          /* the options of each member's client */
    ferry_interceptor interceptor; /* of client; unused if client has no interceptor */
    char *texts;
    int event_fd;      /* readable: there are new stops or ended members */
    unsigned stops;    /* atomic: number of ferry_pool_stop() calls */
    unsigned stoppers; /* atomic: number of threads inside ferry_pool_stop() */
    ferry_client *own; /* atomic; in a child: its client, while ferry_stop() may be called on it */
    bool is_child, runs;
};

static inline unsigned pool_stops(const ferry_pool *pool) {
    return __atomic_load_n(&pool->stops, __ATOMIC_ACQUIRE);
}

/* A stop ends a wait for the broker: a member that waited in its set_up has this result, and has
 * not failed. */
static inline bool pool_is_canceled(int r) {
    return r == -ENOTCONN || r == -ECANCELED;
}

/* pool_begin() begins a run: 0, -EINVAL, -EBUSY. pool_end() ends the run and resets the number of
 * stops. */
int pool_begin(ferry_pool *pool, ferry_member_fn set_up, ferry_error *reterr);
void pool_end(ferry_pool *pool);

/* Waits until no thread is in ferry_pool_stop(): a thread there may still use the pool and its
 * client after it has ended the run. */
void pool_outlive_stoppers(ferry_pool *pool);

/* Wakes the loop of the run. Safe in signal handlers. */
void pool_wake(ferry_pool *pool);
void pool_woken(ferry_pool *pool);

/* Returns the pause before the replacement of a child that ran for lived_ms. *failures counts the
 * failures in a row. */
uint64_t pool_pause_ms(unsigned *failures, uint64_t lived_ms);
