/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Lives of a queue router on a disk store in a temporary folder. See store-life.h. */

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "broker/stores/disk.h"
#include "broker/stores/file.h"
#include "unit/broker/stores/store-life.h"

static char data[200], work[100];
static Store *disk;
static uint64_t memory_of_queues; /* max_queue_memory of lives that begin; 0: the default */

static inline int copy_folder(const char *from, const char *to) {
    char command[900];

    snprintf(command, sizeof(command), "rm -rf '%s' && cp -r --sparse=always '%s' '%s'", to, from,
             to);
    return system(command);
}

/* For file_ops: with so little space, segments have 128 KiB. */
static inline uint64_t little_space(const char *path) {
    (void)path;
    return 2 << 20;
}

static inline int try_begin(ferry_error *reterr) {
    setup();
    if (memory_of_queues)
        broker.limits.max_queue_memory = memory_of_queues;
    CU_ASSERT_EQUAL(waker_open(&waker), 0);
    disk = store_disk_new(data);
    return begin_on(disk, reterr);
}

static inline void stop(void) {
    teardown();
    disk = store_disk_free(disk);
    waker_close(&waker);
}

/* The process is killed: the kernel keeps the data that it has got. */
static inline void crash(void) {
    char copy[300];

    snprintf(copy, sizeof(copy), "%s.copy", data);
    CU_ASSERT_EQUAL(copy_folder(data, copy), 0);
    stop();
    CU_ASSERT_EQUAL(copy_folder(copy, data), 0);
}

static inline void new_folder(void) {
    static int n;

    if (!*work) {
        snprintf(work, sizeof(work), "/tmp/ferry-test-disk-XXXXXX");
        CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(work));
    }
    snprintf(data, sizeof(data), "%s/%d", work, n++);
}

static inline void new_place(void) {
    new_folder();
}

static inline int remove_folder(const char *path) {
    char command[300];

    snprintf(command, sizeof(command), "rm -rf '%s'", path);
    return system(command);
}

static inline void remove_work(void) {
    if (*work && remove_folder(work) != 0)
        printf("cannot remove %s\n", work);
}

/* The path of a file in the data folder; valid until the next call. */
static inline const char *file(const char *name) {
    static char path[300];

    snprintf(path, sizeof(path), "%s/%s", data, name);
    return path;
}

static inline size_t n_files(const char *folder, const char *prefix) {
    DIR *dir = opendir(folder);
    struct dirent *entry;
    size_t n = 0;

    while (dir && (entry = readdir(dir)))
        n += strncmp(entry->d_name, prefix, strlen(prefix)) == 0;
    if (dir)
        closedir(dir);
    return n;
}

/* The place of a text in a file; -1: the file does not have it. */
static inline long place_of(const char *path, const char *text) {
    static char bytes[1 << 20];
    int fd = open(path, O_RDONLY);
    ssize_t n = read(fd, bytes, sizeof(bytes));
    const char *at = n > 0 ? memmem(bytes, (size_t)n, text, strlen(text)) : NULL;

    close(fd);
    return at ? at - bytes : -1;
}

static inline void flip(const char *path, long at) {
    int fd = open(path, O_RDWR);
    uint8_t byte;

    CU_ASSERT_EQUAL(pread(fd, &byte, 1, at), 1);
    byte ^= 4;
    CU_ASSERT_EQUAL(pwrite(fd, &byte, 1, at), 1);
    close(fd);
}
