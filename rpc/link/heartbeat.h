/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Signs of life while the program computes: one thread per process sends a PING on each open
 * connection every BEAT_MS. So a handler may compute for an hour. If the process is stopped,
 * the thread stops too, and the broker closes the connections. The thread reads nothing and knows
 * only this frame of the protocol.
 */

#include <pthread.h>

#include "rpc/link/connection.h"

/* One connection in the list of the thread. The lock guards the fields of the connection that
 * connection_send(), connection_look() and connection_beat() use. */
typedef struct Heart {
    pthread_mutex_t lock;
    Connection *connection;
    struct Heart *prev, *next; /* prev is NULL: the heart is not in the list */
} Heart;

/* Counts the users of the thread. The thread starts with the first user and ends after the last. A
 * child process starts without users. -EAGAIN: the system could not start a thread. */
int heartbeat_ref(void);
void heartbeat_unref(void);

void heart_init(Heart *heart, Connection *connection);
void heart_deinit(Heart *heart); /* after heart_stop() */

void heart_start(Heart *heart); /* call it once the connection is open */
void heart_stop(Heart *heart);

static inline void heart_lock(Heart *heart) {
    pthread_mutex_lock(&heart->lock);
}

static inline void heart_unlock(Heart *heart) {
    pthread_mutex_unlock(&heart->lock);
}
