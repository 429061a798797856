/* SPDX-License-Identifier: Apache-2.0 */
/* The descriptors that a client with direct calls waits for. See direct-private.h. */

#include <errno.h>
#include <sys/epoll.h>

#include "clients/c/direct/direct-private.h"

static int add(int epoll_fd, int fd, void *ptr) {
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = ptr};

    return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

int direct_watch_fd(Direct *direct, int fd, void *ptr) {
    Core *core = direct->core;
    int r = 0;

    if (direct->epoll_fd < 0) {
        direct->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
        if (direct->epoll_fd < 0)
            return -errno;
        r = core_watch(core, direct->epoll_fd);
        if (r == 0 && core->loop_mode)
            r = core_watch_loop(core, direct->epoll_fd);
    }
    core->others.fd = direct->epoll_fd;
    return r == 0 ? add(direct->epoll_fd, fd, ptr) : r;
}

void direct_set_hot(Direct *direct) {
    Core *core = direct->core;

    core->others.hot = direct->only ? direct->only->route.link : NULL;
    core->others.are_hot = core->others.hot && !direct->endpoint;
}

void direct_watch_loop(Direct *direct) {
    if (direct->epoll_fd >= 0)
        core_watch_loop(direct->core, direct->epoll_fd);
}
