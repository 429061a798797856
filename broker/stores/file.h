/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The calls by which the disk store changes files. Tests put other functions in their place: a disk
 * that is full, a flush that fails, a power loss.
 */

#include <stddef.h>
#include <stdint.h>

typedef struct FileOps {
    /* A descriptor, or a negative errno. A new file has mode 0600. */
    int (*open)(const char *path, int flags);
    /* Each returns 0, or a negative errno. */
    int (*write)(int fd, const void *data, size_t size, uint64_t at); /* all of it */
    int (*flush)(int fd);                                             /* fdatasync() */
    int (*reserve)(int fd, uint64_t size); /* blocks for the first size bytes */
    int (*cut)(int fd, uint64_t size);     /* ftruncate() */
    int (*rename)(const char *from, const char *to);
    int (*remove)(const char *path);
    int (*flush_folder)(const char *path); /* the names in it */
    uint64_t (*space)(const char *path);   /* free bytes; UINT64_MAX: unknown */
} FileOps;

extern const FileOps file_ops_posix;
/* The calls that the store uses: file_ops_posix, if a test has not changed it. */
extern const FileOps *file_ops;

/* Reads up to size bytes at a position into to. Returns their number, less than size only at the
 * end of the file, or a negative errno. */
long file_read(int fd, void *to, size_t size, uint64_t at);
