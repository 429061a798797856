/* SPDX-License-Identifier: Apache-2.0 */
/* Sends states to the service manager, and receives sockets from it. See systemd.h. */

#include "base/systemd.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/text.h"

int systemd_notify(const char *state) {
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t len = path ? strlen(path) : 0;
    int fd, r = 0;

    if (len == 0)
        return 0;
    if (len >= sizeof(address.sun_path) || (*path != '/' && *path != '@'))
        return -EINVAL;
    memcpy(address.sun_path, path, len);
    if (*path == '@') /* an abstract name, without a file */
        address.sun_path[0] = '\0';
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    if (sendto(fd, state, strlen(state), MSG_NOSIGNAL, (const struct sockaddr *)&address,
               (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) < 0)
        r = -errno;
    close(fd);
    return r;
}

void systemd_reloading(void) {
    struct timespec now;
    char state[64];

    clock_gettime(CLOCK_MONOTONIC, &now);
    snprintf(state, sizeof(state), "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
             (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000);
    systemd_notify(state);
}

/* Reads a variable that has a whole number and is meant for this process. 0: it is missing, is not
 * a number, or is meant for another process. */
static uint64_t number_of_ours(const char *name, const char *pid_name) {
    const char *text = getenv(name), *pid_text = getenv(pid_name);
    uint64_t value, pid;

    if (pid_text && (text_parse_count(pid_text, &pid) < 0 || pid != (uint64_t)getpid()))
        return 0;
    return text && text_parse_count(text, &value) == 0 ? value : 0;
}

uint64_t systemd_watchdog_ms(void) {
    return number_of_ours("WATCHDOG_USEC", "WATCHDOG_PID") / 1000;
}

int systemd_listen_fd(void) {
    enum { FIRST_FD = 3 }; /* SD_LISTEN_FDS_START */
    /* Without LISTEN_PID the sockets are meant for another process. */
    const char *pid = getenv("LISTEN_PID");
    uint64_t n = pid ? number_of_ours("LISTEN_FDS", "LISTEN_PID") : 0;

    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
    if (n == 0)
        return 0;
    for (uint64_t i = 0; i < n; i++)
        if (fcntl((int)(FIRST_FD + i), F_SETFD, FD_CLOEXEC) < 0)
            return -errno;
    return n == 1 ? FIRST_FD : -E2BIG;
}
