/* SPDX-License-Identifier: Apache-2.0 */
/* Counts forks. See forks.h. */

#include "base/forks.h"

#include <pthread.h>

static unsigned forks;

static void count_fork(void) {
    forks++;
}

static void start(void) {
    pthread_atfork(NULL, NULL, count_fork);
}

unsigned forks_watch(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, start);
    return forks;
}

unsigned forks_count(void) {
    return forks;
}
