/* SPDX-License-Identifier: Apache-2.0 */
/* The thread that sends PINGs. See heartbeat.h. */

#include "rpc/link/heartbeat.h"

#include <stdint.h>
#include <utlist.h>

#include "base/clock.h"
#include "base/cond.h"
#include "base/container.h"
#include "base/thread.h"
#include "rpc/link/connection.h"

enum { BEAT_MS = 2000 }; /* the broker sends a PING of its own after CONNECTION_PING_AFTER_MS */

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t ended;
static Heart *hearts;
static unsigned users;
static unsigned generation; /* a thread of an older generation ends */
static pthread_t thread;

/* ---- a process and its children ---- */

static void lock_for_fork(void) {
    pthread_mutex_lock(&lock);
}

static void unlock_in_parent(void) {
    pthread_mutex_unlock(&lock);
}

/* The thread and the connections belong to the parent. */
static void forget_in_child(void) {
    hearts = NULL;
    users = 0;
    cond_init(&ended);
    pthread_mutex_unlock(&lock);
}

static void init(void) {
    cond_init(&ended);
    pthread_atfork(lock_for_fork, unlock_in_parent, forget_in_child);
}

/* ---- the thread ---- */

static void beat(Heart *heart) {
    /* If the lock is taken, the program is sending, which is a sign of life too. */
    if (pthread_mutex_trylock(&heart->lock) != 0)
        return;
    connection_beat(container_of(heart, Connection, heart));
    pthread_mutex_unlock(&heart->lock);
}

static void *run(void *arg) {
    unsigned mine = (unsigned)(uintptr_t)arg;

    pthread_mutex_lock(&lock);
    while (generation == mine) {
        uint64_t until_ms = clock_ms() + BEAT_MS;

        while (generation == mine && cond_wait_until(&ended, &lock, until_ms))
            continue;
        if (generation != mine)
            break;
        for (Heart *heart = hearts; heart; heart = heart->next)
            beat(heart);
    }
    pthread_mutex_unlock(&lock);
    return NULL;
}

int heartbeat_ref(void) {
    int r;

    pthread_once(&once, init);
    pthread_mutex_lock(&lock);
    r = users > 0 ? 0 : thread_start(&thread, run, (void *)(uintptr_t)generation);
    if (r == 0)
        users++;
    pthread_mutex_unlock(&lock);
    return r;
}

void heartbeat_unref(void) {
    pthread_t last;
    bool is_last;

    pthread_mutex_lock(&lock);
    is_last = --users == 0;
    last = thread;
    if (is_last) {
        generation++;
        pthread_cond_broadcast(&ended);
    }
    pthread_mutex_unlock(&lock);
    if (is_last)
        pthread_join(last, NULL);
}

/* ---- connections ---- */

void heart_start(Heart *heart) {
    pthread_mutex_init(&heart->lock, NULL);
    heart->beats = true;
    pthread_mutex_lock(&lock);
    DL_PREPEND(hearts, heart);
    pthread_mutex_unlock(&lock);
}

void heart_stop(Heart *heart) {
    if (!heart->beats)
        return;
    pthread_mutex_lock(&lock);
    DL_DELETE(hearts, heart);
    pthread_mutex_unlock(&lock);
    pthread_mutex_destroy(&heart->lock);
    heart->beats = false;
}
