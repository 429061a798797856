/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The calls with which the disk store changes files. Tests replace them to imitate a full disk, a
 * flush that fails, or a power loss.
 */

#include <stddef.h>
#include <stdint.h>

typedef struct FileOps {
    /* Returns a descriptor, or a negative errno. A new file has mode 0600. */
    int (*open)(const char *path, int flags);
    /* Each returns 0, or a negative errno. */
    int (*write)(int fd, const void *data, size_t size, uint64_t at); /* writes all of it */
    int (*flush)(int fd);                                             /* fdatasync() */
    int (*reserve)(int fd, uint64_t size); /* reserves blocks for the first size bytes */
    int (*cut)(int fd, uint64_t size);     /* ftruncate() */
    int (*rename)(const char *from, const char *to);
    int (*remove)(const char *path);
    int (*flush_folder)(const char *path); /* flushes the names in the folder */
    uint64_t (*space)(const char *path);   /* free bytes; UINT64_MAX: unknown */
} FileOps;

extern const FileOps file_ops_posix;
/* The calls that the store uses: file_ops_posix, unless a test has replaced it. */
extern const FileOps *file_ops;

/* Reads up to size bytes, from position `at`, into `to`. Returns the number of bytes, less than
 * size only at the end of the file, or a negative errno. */
long file_read(int fd, void *to, size_t size, uint64_t at);
