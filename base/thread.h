/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Threads that block all signals, so that the program's own threads get them. */

#include <pthread.h>
#include <signal.h>
#include <stddef.h>

/* Starts a thread. ret: for pthread_join(); NULL: the thread is detached. 0 or a negative errno:
 * -EAGAIN if the system could not start a thread. */
static inline int thread_start(pthread_t *ret, void *(*run)(void *ctx), void *ctx) {
    sigset_t all, before;
    pthread_t thread;
    int r;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    r = pthread_create(ret ? ret : &thread, NULL, run, ctx);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (r == 0 && !ret)
        pthread_detach(thread);
    return -r;
}
