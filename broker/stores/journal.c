/* SPDX-License-Identifier: Apache-2.0 */
/* The thread that writes the journal. See journal.h. */

#include "broker/stores/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "broker/stores/file.h"

enum { SEGMENT_BYTES_MAX = 16 << 20, SEGMENT_BYTES_MIN = 128 << 10, PAGE = 4096 };

/* ---- segments and their reserve ---- */

static void spare_path(const Journal *journal, unsigned i, char to[FOLDER_FILE_MAX]) {
    char name[32];

    snprintf(name, sizeof(name), "spare-%u", i);
    folder_file(journal->folder, name, to);
}

/* A file with blocks for size bytes; removed again if there is no space. */
static int make_file(const char *path, uint64_t size) {
    int fd = file_ops->open(path, O_RDWR | O_CREAT | O_TRUNC), r;

    if (fd < 0)
        return fd;
    r = file_ops->reserve(fd, size);
    if (r == 0)
        return fd;
    close(fd);
    file_ops->remove(path);
    return r;
}

static int add_spares(Journal *journal) {
    char path[FOLDER_FILE_MAX];

    while (journal->n_spares < JOURNAL_SPARES) {
        int fd;

        spare_path(journal, journal->n_spares, path);
        fd = make_file(path, journal->segment_bytes);
        if (fd < 0)
            return fd;
        close(fd);
        journal->n_spares++;
    }
    return 0;
}

static int take_spare(Journal *journal, char path[FOLDER_FILE_MAX]) {
    int fd;

    spare_path(journal, journal->n_spares - 1, path);
    fd = file_ops->open(path, O_RDWR);
    if (fd >= 0)
        journal->n_spares--;
    return fd;
}

static void set_full(Journal *journal, bool full) {
    pthread_mutex_lock(&journal->lock);
    journal->full = full;
    pthread_mutex_unlock(&journal->lock);
}

static int fail(Journal *journal, int error) {
    pthread_mutex_lock(&journal->lock);
    journal->failed = error;
    pthread_mutex_unlock(&journal->lock);
    return error;
}

static int flush(Journal *journal) {
    uint64_t began_us = clock_us();
    int r;

    if (journal->failed)
        return journal->failed;
    if (journal->flush_by_us == UINT64_MAX || journal->fd < 0) {
        journal->flush_by_us = UINT64_MAX;
        return 0;
    }
    r = file_ops->flush(journal->fd);
    if (r < 0)
        return fail(journal, r);
    journal->flushed = journal->sequence;
    journal->flush_by_us = UINT64_MAX;
    pthread_mutex_lock(&journal->lock);
    journal->n_flushes++;
    journal->flush_us += clock_us() - began_us;
    pthread_mutex_unlock(&journal->lock);
    return 0;
}

/* Opens a file for the next segment. Pushes never take the last space: a spare that they use is
 * replaced first. */
static int open_next(Journal *journal, uint64_t size, bool is_push, char path[FOLDER_FILE_MAX]) {
    int r = add_spares(journal);

    if (r < 0 && (is_push || r != -ENOSPC))
        return r;
    if (size <= journal->segment_bytes && journal->n_spares > (is_push ? 1 : 0))
        return take_spare(journal, path);
    folder_file(journal->folder, "journal.new", path);
    return make_file(path, size);
}

/* The present segment is flushed, and then a new one begins, for `bytes` of records at least. */
static int begin_segment(Journal *journal, uint64_t bytes, bool is_push) {
    uint64_t size = (SEGMENT_HEAD + bytes + PAGE - 1) / PAGE * PAGE;
    char from[FOLDER_FILE_MAX], to[FOLDER_FILE_MAX];
    uint8_t head[SEGMENT_HEAD];
    uint32_t number = journal->number + 1;
    int fd, r;

    if (size < journal->segment_bytes)
        size = journal->segment_bytes;
    if (number > 99999999)
        return -EFBIG;
    fd = open_next(journal, size, is_push, from);
    if (fd < 0)
        return fd;
    segment_path(journal->folder, number, to);
    segment_head(journal->folder, number, head);
    r = flush(journal);
    if (r == 0)
        r = file_ops->write(fd, head, sizeof(head), 0);
    if (r == 0)
        r = file_ops->flush(fd);
    if (r == 0)
        r = file_ops->rename(from, to);
    if (r == 0)
        r = file_ops->flush_folder(journal->folder->path);
    if (r < 0) {
        close(fd);
        return fail(journal, r);
    }
    if (journal->fd >= 0) {
        file_ops->cut(journal->fd, journal->at);
        close(journal->fd);
    }
    journal->fd = fd;
    journal->number = number;
    journal->at = SEGMENT_HEAD;
    journal->size = size;
    journal->seed = segment_seed(journal->folder, number);
    add_spares(journal); /* now, and not when the next segment is needed */
    return 0;
}

/* ---- batches ---- */

static void seal_all(Journal *journal, Buffer *part) {
    for (size_t at = 0; at < part->len;) {
        uint8_t *record = part->data + at;

        record_seal(record, journal->seed, ++journal->sequence, journal->flushed);
        at += record_padded(record_len(record));
    }
}

static int write_part(Journal *journal, Buffer *part, bool is_push, uint32_t *ret_segment,
                      uint64_t *ret_at) {
    int r = journal->failed;

    if (part->len == 0 || r < 0)
        return r;
    if (journal->fd < 0 || journal->at + part->len > journal->size)
        r = begin_segment(journal, part->len, is_push);
    if (r < 0)
        return r;
    *ret_segment = journal->number;
    *ret_at = journal->at;
    seal_all(journal, part);
    r = file_ops->write(journal->fd, part->data, part->len, journal->at);
    if (r < 0)
        return fail(journal, r);
    journal->at += part->len;
    return 0;
}

static void write_batch(Journal *journal, Batch *batch) {
    batch->pushes_result =
        write_part(journal, &batch->pushes, true, &batch->pushes_segment, &batch->pushes_at);
    if (batch->pushes_result == -ENOSPC)
        set_full(journal, true);
    batch->releases_result =
        write_part(journal, &batch->releases, false, &batch->releases_segment, &batch->releases_at);
    if (batch->flush_by_us < journal->flush_by_us)
        journal->flush_by_us = batch->flush_by_us;
}

/* ---- the thread ---- */

static void wake(const Journal *journal) {
    uint64_t one = 1;
    ssize_t n = write(journal->wake_fd, &one, sizeof(one));

    (void)n; /* full: it wakes the loop anyway */
}

static bool has_work(const Journal *journal) {
    return journal->todo || journal->to_load || journal->to_remove || journal->stopping;
}

/* Until there is work, or a flush is due, or a full disk is to be looked at. */
static void wait_for_work(Journal *journal) {
    uint64_t until_us = journal->flush_by_us, retry_us = clock_us() + JOURNAL_RETRY_MS * 1000;

    if (journal->full && retry_us < until_us)
        until_us = retry_us;
    while (!has_work(journal)) {
        struct timespec until = {(time_t)(until_us / 1000000), (long)(until_us % 1000000) * 1000};

        if (until_us == UINT64_MAX || journal->failed)
            pthread_cond_wait(&journal->cond, &journal->lock);
        else if (pthread_cond_timedwait(&journal->cond, &journal->lock, &until) == ETIMEDOUT)
            return;
    }
}

static void hand_over(Journal *journal, Batch *list) {
    pthread_mutex_lock(&journal->lock);
    *journal->done_end = list;
    while (*journal->done_end)
        journal->done_end = &(*journal->done_end)->next;
    pthread_mutex_unlock(&journal->lock);
    wake(journal);
}

static void write_all(Journal *journal, Batch *list) {
    for (Batch *batch = list; batch; batch = batch->next)
        write_batch(journal, batch);
    if (journal->flush_by_us <= clock_us())
        flush(journal);
    for (Batch *batch = list; batch && journal->failed; batch = batch->next)
        batch->lost = true;
    if (list)
        hand_over(journal, list);
    else if (journal->failed)
        wake(journal);
}

static void load(Journal *journal, uint32_t number) {
    SegmentBytes bytes;
    int r = segment_load(journal->folder, number, &bytes);

    pthread_mutex_lock(&journal->lock);
    journal->loaded = bytes;
    journal->load_result = r < 0 ? r : 1;
    pthread_mutex_unlock(&journal->lock);
    wake(journal);
}

static void remove_segment(Journal *journal, uint32_t number) {
    char path[FOLDER_FILE_MAX];

    segment_path(journal->folder, number, path);
    if (flush(journal) < 0)
        return;
    file_ops->remove(path);
    file_ops->flush_folder(journal->folder->path);
}

static void look_for_space(Journal *journal) {
    if (add_spares(journal) < 0)
        return;
    set_full(journal, false);
    wake(journal);
}

/* The last record proves that all others were flushed: a damaged end is found at the next start. */
static void write_end(Journal *journal) {
    CLEANUP(buffer_deinit) Buffer last = {0};
    uint32_t number;
    uint64_t at;

    journal->flush_by_us = journal->flush_by_us == UINT64_MAX ? UINT64_MAX : 0;
    if (journal->fd < 0 || flush(journal) < 0)
        return;
    record_append(&last, &(Record){.type = RECORD_LAST, .id = journal->last_job});
    if (last.failed || write_part(journal, &last, false, &number, &at) < 0)
        return;
    journal->flush_by_us = 0;
    if (flush(journal) == 0)
        file_ops->cut(journal->fd, journal->at);
}

static void *run(void *ctx) {
    Journal *journal = ctx;
    bool stopping = false;

    while (!stopping) {
        uint32_t to_load, to_remove;
        Batch *list;

        pthread_mutex_lock(&journal->lock);
        wait_for_work(journal);
        list = journal->todo;
        journal->todo = NULL;
        journal->todo_end = &journal->todo;
        to_load = journal->to_load;
        to_remove = journal->to_remove;
        journal->to_load = journal->to_remove = 0;
        stopping = journal->stopping;
        pthread_mutex_unlock(&journal->lock);

        write_all(journal, list);
        if (to_load)
            load(journal, to_load);
        if (to_remove)
            remove_segment(journal, to_remove);
        if (journal->full && !journal->failed)
            look_for_space(journal);
    }
    write_end(journal);
    return NULL;
}

/* ---- from the broker's thread ---- */

/* Small segments on a small disk: the reserve must not take most of it. */
static uint32_t segment_bytes_for(const Folder *folder) {
    uint64_t share = file_ops->space(folder->path) / 16 / PAGE * PAGE;

    return share > SEGMENT_BYTES_MAX   ? SEGMENT_BYTES_MAX
           : share < SEGMENT_BYTES_MIN ? SEGMENT_BYTES_MIN
                                       : (uint32_t)share;
}

static void remove_old_spares(Journal *journal) {
    char path[FOLDER_FILE_MAX];

    for (unsigned i = 0; i < JOURNAL_SPARES; i++) {
        spare_path(journal, i, path);
        file_ops->remove(path);
    }
    folder_file(journal->folder, "journal.new", path);
    file_ops->remove(path);
}

int journal_open(Journal *journal, Folder *folder, uint32_t number, uint64_t sequence,
                 int wake_fd) {
    pthread_condattr_t attributes;
    sigset_t all, before;
    int r;

    *journal = (Journal){.folder = folder,
                         .wake_fd = wake_fd,
                         .fd = -1,
                         .number = number,
                         .sequence = sequence,
                         .flushed = sequence,
                         .flush_by_us = UINT64_MAX};
    journal->todo_end = &journal->todo;
    journal->done_end = &journal->done;
    remove_old_spares(journal);
    journal->segment_bytes = segment_bytes_for(folder);
    r = add_spares(journal);
    if (r == -ENOSPC)
        journal->full = true;
    else if (r < 0)
        return r;
    pthread_mutex_init(&journal->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&journal->cond, &attributes);
    pthread_condattr_destroy(&attributes);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    r = -pthread_create(&journal->thread, NULL, run, journal);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    journal->running = r == 0;
    return r;
}

static void batches_free(Batch *list) {
    while (list) {
        Batch *next = list->next;

        buffer_deinit(&list->pushes);
        buffer_deinit(&list->releases);
        free(list);
        list = next;
    }
}

void journal_close(Journal *journal, uint64_t last_job) {
    if (!journal->running)
        return;
    pthread_mutex_lock(&journal->lock);
    journal->stopping = true;
    journal->last_job = last_job;
    pthread_cond_signal(&journal->cond);
    pthread_mutex_unlock(&journal->lock);
    pthread_join(journal->thread, NULL);
    batches_free(journal->done);
    segment_unload(&journal->loaded);
    if (journal->fd >= 0)
        close(journal->fd);
    pthread_cond_destroy(&journal->cond);
    pthread_mutex_destroy(&journal->lock);
    journal->running = false;
}

void journal_submit(Journal *journal, Batch *batch) {
    batch->next = NULL;
    pthread_mutex_lock(&journal->lock);
    *journal->todo_end = batch;
    journal->todo_end = &batch->next;
    pthread_cond_signal(&journal->cond);
    pthread_mutex_unlock(&journal->lock);
}

Batch *journal_take_done(Journal *journal) {
    Batch *list;

    pthread_mutex_lock(&journal->lock);
    list = journal->done;
    journal->done = NULL;
    journal->done_end = &journal->done;
    pthread_mutex_unlock(&journal->lock);
    return list;
}

void journal_load(Journal *journal, uint32_t number) {
    pthread_mutex_lock(&journal->lock);
    journal->to_load = number;
    journal->load_result = 0;
    pthread_cond_signal(&journal->cond);
    pthread_mutex_unlock(&journal->lock);
}

int journal_take_loaded(Journal *journal, SegmentBytes *ret) {
    int r;

    pthread_mutex_lock(&journal->lock);
    r = journal->load_result;
    *ret = journal->loaded;
    journal->loaded = (SegmentBytes){0};
    journal->load_result = 0;
    pthread_mutex_unlock(&journal->lock);
    return r;
}

void journal_remove(Journal *journal, uint32_t number) {
    pthread_mutex_lock(&journal->lock);
    journal->to_remove = number;
    pthread_cond_signal(&journal->cond);
    pthread_mutex_unlock(&journal->lock);
}

int journal_failed(Journal *journal) {
    int r;

    pthread_mutex_lock(&journal->lock);
    r = journal->failed;
    pthread_mutex_unlock(&journal->lock);
    return r;
}

bool journal_is_full(Journal *journal) {
    bool full;

    pthread_mutex_lock(&journal->lock);
    full = journal->full;
    pthread_mutex_unlock(&journal->lock);
    return full;
}
