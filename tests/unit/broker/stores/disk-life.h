/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Lives of a queue router with a disk store in a temporary folder. A life ends with a stop or a
 * crash, and the next life restores what the folder has. */

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "broker/queues/queues-private.h"
#include "broker/stores/disk.h"
#include "broker/stores/file.h"
#include "unit/broker/queues/verbs.h"

static char data[200], work[100];
static Store *disk;
static int wake_fd = -1;
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

/* Begins a life; 0, or the errno of the store. */
static inline int try_begin(ferry_error *reterr) {
    int r;

    setup();
    if (memory_of_queues)
        broker.limits.max_queue_memory = memory_of_queues;
    wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    disk = store_disk_new(data);
    queues_set_usual_store(queues, disk);
    CU_ASSERT_EQUAL(queues_add_store(queues, disk), 0);
    r = queues_open_stores(queues, wake_fd, reterr);
    while (r >= 0 && (r = queues_restore(queues, reterr)) > 0)
        continue;
    return r;
}

static inline void begin(void) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;

    CU_ASSERT_EQUAL_FATAL(try_begin(&error), 0);
}

/* The broker stops in order. */
static inline void stop(void) {
    teardown();
    disk = store_disk_free(disk);
    close(wake_fd);
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

static inline int remove_folder(const char *path) {
    char command[300];

    snprintf(command, sizeof(command), "rm -rf '%s'", path);
    return system(command);
}

static inline void remove_work(void) {
    if (*work && remove_folder(work) != 0)
        printf("cannot remove %s\n", work);
}

/* Ends a turn, and processes the changes that the store has finished. */
static inline void turn(int timeout_ms) {
    struct pollfd wake = {.fd = wake_fd, .events = POLLIN};
    uint64_t n;

    rooms_turn_end(&broker);
    if (poll(&wake, 1, timeout_ms) > 0 && read(wake_fd, &n, sizeof(n)) == sizeof(n))
        queues_process_stores(queues);
    rooms_turn_end(&broker);
}

/* Stores a message in both queues, in one record. The session gets OK to id. */
static inline void fan_out(Session *session, uint64_t id, const char *body, const char *first,
                           const char *second) {
    Message message = {
        .op = OP_PUBLISH, .id = id, .name = span_text("topic"), .body = span_text(body)};
    Problem problem;
    Queue *to[] = {queue_get(queues, span_text(first), &problem),
                   queue_get(queues, span_text(second), &problem)};
    Fanout *made;

    CU_ASSERT_EQUAL_FATAL(queues_fan_out(queues, to, 2, session, &message, NULL, &made), 0);
    queues_fan_out_store(made);
}

/* Waits until the session has so many messages. Only a store that hangs takes 20 s. */
static inline void until_sent(const Session *session, size_t n) {
    for (int i = 0; i < 2000 && fake_n_sent(session) < n; i++)
        turn(10);
    CU_ASSERT(fake_n_sent(session) >= n);
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
