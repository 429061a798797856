/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Signs of life while the program computes: one thread per process sends a PING on each open
 * connection every BEAT_MS. It reads nothing and knows no protocol beyond that frame, so a handler
 * may compute for an hour; a process that is stopped falls silent and is closed by the broker.
 */

#include <pthread.h>

#include "rpc/link/connection.h"

/* The place of one connection. Its lock guards what connection_send(), connection_look() and
 * connection_beat() use. */
typedef struct Heart {
    pthread_mutex_t lock;
    Connection *connection;
    struct Heart *prev, *next; /* prev is NULL: it does not beat */
} Heart;

/* Counts the users of the thread: it starts with the first and ends after the last. In a child
 * process there are no users. -EAGAIN: no thread. */
int heartbeat_ref(void);
void heartbeat_unref(void);

void heart_init(Heart *heart, Connection *connection);
void heart_deinit(Heart *heart); /* after heart_stop() */

void heart_start(Heart *heart); /* its connection is open now */
void heart_stop(Heart *heart);

static inline void heart_lock(Heart *heart) {
    pthread_mutex_lock(&heart->lock);
}

static inline void heart_unlock(Heart *heart) {
    pthread_mutex_unlock(&heart->lock);
}
