/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What a pool of threads and one of processes have in common. See ferry/pool.h. */

#include <ferry/pool.h>

#include <stdint.h>

enum {
    POOL_MEMBERS_MAX = 1024,
    POOL_STOP_MS = 10000,
    POOL_SETTLED_MS = 10000, /* who has lived so long has not failed at its start */
    POOL_PAUSE_MS = 100,
    POOL_PAUSE_MAX_MS = 10000,
};

struct ferry_pool {
    unsigned n;
    uint32_t stop_ms;
    void (*on_exit)(unsigned member, int status, const ferry_error *error, void *ctx);
    void *ctx;
    const char *url;      /* in texts, as all that client points to; NULL: the default */
    ferry_options client; /* of each member's */
    char *texts;
    int event_fd;      /* readable: look at stops, or at who has ended */
    unsigned stops;    /* atomic: ferry_pool_stop() calls */
    unsigned stoppers; /* atomic: threads inside ferry_pool_stop() */
    ferry_client *own; /* atomic; in a child: its client, while it may be stopped */
    bool is_child, runs;
};

static inline unsigned pool_stops(const ferry_pool *pool) {
    return __atomic_load_n(&pool->stops, __ATOMIC_ACQUIRE);
}

/* Begins a run: 0, -EINVAL, -EBUSY. Ends it: the stops that it has obeyed are forgotten. */
int pool_begin(ferry_pool *pool, ferry_member_fn set_up, ferry_error *reterr);
void pool_end(ferry_pool *pool);

/* Until none is in ferry_pool_stop(), which may have ended the run before it has done with the pool
 * and with its own client. */
void pool_outlive_stoppers(ferry_pool *pool);

/* Something has happened that the loop of the run waits for. Safe in signal handlers. */
void pool_wake(ferry_pool *pool);
void pool_woken(ferry_pool *pool);

/* How long to wait before a child is replaced that has lived so long; counts failures in a row. */
uint64_t pool_pause_ms(unsigned *failures, uint64_t lived_ms);
