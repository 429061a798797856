/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Signs of life while the program computes: one thread per process sends a PING on each open
 * connection every BEAT_MS. So a handler may compute for an hour. If the process is stopped,
 * the thread stops too, and the broker closes the connections. The thread reads nothing and knows
 * only this frame of the protocol.
 */

#include <pthread.h>
#include <stdbool.h>

/* The part of a connection that the thread uses. The lock guards the fields that connection_send(),
 * connection_look() and connection_beat() use. */
typedef struct Heart {
    bool beats; /* it is in the thread's list; false: no lock is needed */
    pthread_mutex_t lock;
    struct Heart *prev, *next;
} Heart;

/* Counts the users of the thread. The thread starts with the first user and ends after the last. A
 * child process starts without users. -EAGAIN: the system could not start a thread. */
int heartbeat_ref(void);
void heartbeat_unref(void);

void heart_start(Heart *heart); /* call it once the connection is open */
void heart_stop(Heart *heart);

static inline void heart_lock(Heart *heart) {
    if (heart->beats)
        pthread_mutex_lock(&heart->lock);
}

static inline void heart_unlock(Heart *heart) {
    if (heart->beats)
        pthread_mutex_unlock(&heart->lock);
}
