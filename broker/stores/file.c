/* SPDX-License-Identifier: Apache-2.0 */
/* The file calls of the disk store. See file.h. */

#include "broker/stores/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/statvfs.h>
#include <unistd.h>

static int posix_open(const char *path, int flags) {
    int fd = open(path, flags | O_CLOEXEC, 0600);

    return fd < 0 ? -errno : fd;
}

static int posix_write(int fd, const void *data, size_t size, uint64_t at) {
    const uint8_t *from = data;

    while (size > 0) {
        ssize_t n = pwrite(fd, from, size, (off_t)at);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        from += n;
        at += (uint64_t)n;
        size -= (size_t)n;
    }
    return 0;
}

static int posix_flush(int fd) {
    return fdatasync(fd) < 0 ? -errno : 0;
}

/* Writes zeros, for file systems that cannot reserve blocks. */
static int fill(int fd, uint64_t size) {
    static const uint8_t zeros[64 * 1024];
    int r = 0;

    for (uint64_t at = 0; at < size && r == 0; at += sizeof(zeros))
        r = posix_write(fd, zeros, size - at < sizeof(zeros) ? size - at : sizeof(zeros), at);
    return r;
}

static int posix_reserve(int fd, uint64_t size) {
    int r;

    while ((r = fallocate(fd, 0, 0, (off_t)size)) < 0 && errno == EINTR)
        continue;
    if (r < 0)
        return errno == EOPNOTSUPP || errno == ENOSYS ? fill(fd, size) : -errno;
    return 0;
}

static int posix_cut(int fd, uint64_t size) {
    return ftruncate(fd, (off_t)size) < 0 ? -errno : 0;
}

static int posix_rename(const char *from, const char *to) {
    return rename(from, to) < 0 ? -errno : 0;
}

static int posix_remove(const char *path) {
    return unlink(path) < 0 ? -errno : 0;
}

static int posix_flush_folder(const char *path) {
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), r;

    if (fd < 0)
        return -errno;
    r = fsync(fd) < 0 ? -errno : 0;
    close(fd);
    return r;
}

static uint64_t posix_space(const char *path) {
    struct statvfs info;

    return statvfs(path, &info) < 0 ? UINT64_MAX : (uint64_t)info.f_bavail * info.f_frsize;
}

const FileOps file_ops_posix = {
    .open = posix_open,
    .write = posix_write,
    .flush = posix_flush,
    .reserve = posix_reserve,
    .cut = posix_cut,
    .rename = posix_rename,
    .remove = posix_remove,
    .flush_folder = posix_flush_folder,
    .space = posix_space,
};

const FileOps *file_ops = &file_ops_posix;

long file_read(int fd, void *to, size_t size, uint64_t at) {
    uint8_t *into = to;
    size_t n_read = 0;

    while (n_read < size) {
        ssize_t n = pread(fd, into + n_read, size - n_read, (off_t)(at + n_read));

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        n_read += (size_t)n;
    }
    return (long)n_read;
}
