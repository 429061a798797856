/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A library to preload into a program: it shifts the wall clock by the number of seconds in the
 * file FERRY_TEST_WALL_CLOCK, which may change at any time. The monotonic clocks are unchanged.
 */

#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define EXPORTED __attribute__((visibility("default")))

EXPORTED int clock_gettime(clockid_t clock, struct timespec *to);
EXPORTED int gettimeofday(struct timeval *restrict to, void *restrict zone);
EXPORTED time_t time(time_t *to);

static const int64_t none, *offset_s = &none;

__attribute__((constructor)) static void start(void) {
    const char *path = getenv("FERRY_TEST_WALL_CLOCK");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *map = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof(*offset_s), PROT_READ, MAP_SHARED, fd, 0);

    if (map != MAP_FAILED)
        offset_s = map;
    if (fd >= 0)
        close(fd);
}

int clock_gettime(clockid_t clock, struct timespec *to) {
    int r = (int)syscall(SYS_clock_gettime, clock, to);

    if (r == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        to->tv_sec += __atomic_load_n(offset_s, __ATOMIC_RELAXED);
    return r;
}

int gettimeofday(struct timeval *restrict to, void *restrict zone) {
    struct timespec now;

    (void)zone;
    clock_gettime(CLOCK_REALTIME, &now);
    *to = (struct timeval){now.tv_sec, now.tv_nsec / 1000};
    return 0;
}

time_t time(time_t *to) {
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    if (to)
        *to = now.tv_sec;
    return now.tv_sec;
}
