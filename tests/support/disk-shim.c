/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A library to preload into a broker: its disk hangs or fails. The test makes files in the folder
 * FERRY_TEST_DISK:
 *
 *     hang    each flush waits until this file is removed
 *     fail    the next flush fails with EIO; the file is then called "failed"
 *
 * If the broker flushes again after a failure, the file "again" appears. That flush would succeed,
 * as on Linux, where the kernel drops the pages that it could not write.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#define EXPORTED __attribute__((visibility("default")))

EXPORTED int fdatasync(int fd);

static const char *in_folder(const char *name, char path[256]) {
    const char *folder = getenv("FERRY_TEST_DISK");

    snprintf(path, 256, "%s/%s", folder ? folder : "/nowhere", name);
    return path;
}

int fdatasync(int fd) {
    char path[256], to[256];

    while (access(in_folder("hang", path), F_OK) == 0)
        usleep(1000);
    if (rename(in_folder("fail", path), in_folder("failed", to)) == 0) {
        errno = EIO;
        return -1;
    }
    if (access(in_folder("failed", path), F_OK) == 0)
        close(open(in_folder("again", path), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    return (int)syscall(SYS_fdatasync, fd);
}
