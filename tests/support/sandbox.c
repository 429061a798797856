/* SPDX-License-Identifier: Apache-2.0 */
/* Namespaces for tests. See sandbox.h. */

#include "support/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { EXIT_SKIPPED = 77 };

void skip(const char *format, ...) {
    va_list args;

    fputs("SKIP: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    exit(EXIT_SKIPPED);
}

bool write_file(const char *path, const char *text) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), saved;
    bool done;

    if (fd < 0)
        return false;
    done = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    saved = errno;
    close(fd);
    errno = saved;
    return done;
}

static void become_root_of_our_own(unsigned uid, unsigned gid) {
    char text[40];

    write_file("/proc/self/setgroups", "deny");
    snprintf(text, sizeof(text), "0 %u 1", uid);
    if (!write_file("/proc/self/uid_map", text))
        skip("no user namespace: %s", strerror(errno));
    snprintf(text, sizeof(text), "0 %u 1", gid);
    write_file("/proc/self/gid_map", text);
}

void sandbox_enter(int flags) {
    unsigned uid = geteuid(), gid = getegid();

    if (unshare(flags) == 0)
        return;
    if (errno != EPERM || unshare(flags | CLONE_NEWUSER) < 0)
        skip("no namespace (0x%x): %s", (unsigned)flags, strerror(errno));
    become_root_of_our_own(uid, gid);
}
