/* SPDX-License-Identifier: Apache-2.0 */
/* Threads call the thread of a loop. See waker.h. */

#include "base/waker.h"

#include <errno.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

int waker_open(Waker *waker) {
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

    if (fd < 0)
        return -errno;
    waker->fd = fd;
    atomic_init(&waker->called, false);
    atomic_init(&waker->asleep, true);
    return 0;
}

void waker_close(Waker *waker) {
    if (waker->fd >= 0)
        close(waker->fd);
    waker->fd = -1;
}

/* The order of these operations and of those in waker_may_sleep() is sequentially consistent:
 * either the call sees that the loop may be asleep, or the loop sees the call. */
void waker_call(Waker *waker) {
    uint64_t one = 1;
    ssize_t n;

    if (atomic_exchange(&waker->called, true) || !atomic_load(&waker->asleep))
        return;
    n = write(waker->fd, &one, sizeof(one));
    (void)n; /* the eventfd is full: it wakes the loop anyway */
}

bool waker_is_called(const Waker *waker) {
    return atomic_load_explicit(&waker->called, memory_order_relaxed);
}

bool waker_may_sleep(Waker *waker) {
    atomic_store(&waker->asleep, true);
    return !atomic_load(&waker->called);
}

void waker_is_awake(Waker *waker) {
    atomic_store(&waker->asleep, false);
}

bool waker_take(Waker *waker, bool fd_is_readable) {
    uint64_t n;
    ssize_t got = fd_is_readable ? read(waker->fd, &n, sizeof(n)) : 0;

    (void)got; /* a later call is seen in memory, or writes to fd again */
    return atomic_exchange(&waker->called, false);
}
