/* SPDX-License-Identifier: Apache-2.0 */
/* The threads that write and flush the journal. See journal.h. */

#include "broker/stores/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/cond.h"
#include "base/thread.h"
#include "broker/stores/file.h"

enum {
    /* A thread polls for its next work at most this long. A client that pushes one job after
     * another sends the next one 20 to 40 us after the confirmation. */
    POLL_US = 100,
    /* It polls after a flush of at most this many changes. With more of them, many clients are at
     * work, and they need the processors. */
    POLL_CHANGES = 2,
    PAGE = 4096,
};

void batch_free(JournalBatch *batch) {
    if (!batch)
        return;
    buffer_deinit(&batch->pushes);
    buffer_deinit(&batch->releases);
    free(batch);
}

/* ---- waking the threads ---- */

/* There is work for a thread: one that polls sees the number. The caller holds the lock. True: no
 * thread polls, so the caller must call pthread_cond_signal(). */
static bool call_thread(Journal *journal) {
    atomic_fetch_add_explicit(&journal->n_calls, 1, memory_order_relaxed);
    return !journal->polling;
}

static void wake_thread(Journal *journal) {
    if (call_thread(journal))
        pthread_cond_signal(&journal->cond);
}

/* ---- flushing ---- */

static int fail(Journal *journal, int error) {
    pthread_mutex_lock(&journal->lock);
    journal->failed = error;
    pthread_mutex_unlock(&journal->lock);
    return error;
}

/* Gives the batches of the list to the broker's thread. The lock is held. */
static void hand_over(Journal *journal, JournalBatch *list) {
    *journal->done_end = list;
    for (; list; list = list->next) {
        list->lost = journal->failed != 0;
        journal->done_end = &list->next;
    }
}

static JournalBatch *take_written(Journal *journal) {
    JournalBatch *list = journal->written;

    journal->written = NULL;
    journal->written_end = &journal->written;
    return list;
}

/* Flushes all records that were written before this call. One thread at a time. The caller holds
 * the lock; it is free during the flush. */
static void flush_locked(Journal *journal) {
    uint64_t began_us = clock_us(), sequence = journal->sequence;
    JournalBatch *list = take_written(journal);
    int fd = journal->fd, r = 0;

    journal->few = list && !list->next && list->n <= POLL_CHANGES;
    journal->flush_by_us = UINT64_MAX;
    if (!journal->failed && fd >= 0) {
        journal->flushing = true;
        pthread_mutex_unlock(&journal->lock);
        r = file_ops->flush(fd);
        pthread_mutex_lock(&journal->lock);
        journal->flushing = false;
        journal->n_flushes++;
        journal->flush_us += clock_us() - began_us;
    }
    if (r < 0)
        journal->failed = r;
    else if (!journal->failed)
        journal->flushed = sequence;
    hand_over(journal, list);
    pthread_cond_broadcast(&journal->idle_cond);
    /* Wake the broker's thread after the lock is free: it takes the lock at once. */
    pthread_mutex_unlock(&journal->lock);
    waker_call(journal->waker);
    pthread_mutex_lock(&journal->lock);
}

/* For the thread that writes: returns when all records are flushed. */
static int flush(Journal *journal) {
    int r;

    pthread_mutex_lock(&journal->lock);
    while (journal->flushing)
        pthread_cond_wait(&journal->idle_cond, &journal->lock);
    if (journal->sequence != journal->flushed || journal->written)
        flush_locked(journal);
    r = journal->failed;
    pthread_mutex_unlock(&journal->lock);
    return r;
}

/* ---- segments ---- */

static void set_full(Journal *journal, bool full) {
    pthread_mutex_lock(&journal->lock);
    journal->full = full;
    pthread_mutex_unlock(&journal->lock);
}

/* Flushes the present segment, and begins a new one for at least `bytes` of records. */
static int begin_segment(Journal *journal, uint64_t bytes, bool is_push) {
    uint64_t size = (SEGMENT_HEAD + bytes + PAGE - 1) / PAGE * PAGE;
    char from[FOLDER_FILE_MAX], to[FOLDER_FILE_MAX];
    uint8_t head[SEGMENT_HEAD];
    uint32_t number = journal->number + 1;
    int fd, before, r;

    if (size < journal->reserve.segment_bytes)
        size = journal->reserve.segment_bytes;
    if (number > 99999999)
        return -EFBIG;
    fd = reserve_take(&journal->reserve, size, is_push, from);
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
    before = journal->fd;
    pthread_mutex_lock(&journal->lock);
    journal->fd = fd;
    while (journal->flushing)
        pthread_cond_wait(&journal->idle_cond, &journal->lock);
    pthread_mutex_unlock(&journal->lock);
    if (before >= 0) {
        file_ops->cut(before, journal->at);
        close(before);
    }
    journal->number = number;
    journal->at = SEGMENT_HEAD;
    journal->size = size;
    journal->seed = segment_seed(journal->folder, number);
    reserve_fill(&journal->reserve); /* now, so that the next segment does not wait for it */
    return 0;
}

/* ---- batches ---- */

static uint64_t seal_all(const Journal *journal, Buffer *part, uint64_t sequence,
                         uint64_t flushed) {
    for (size_t at = 0; at < part->len;) {
        uint8_t *record = part->data + at;

        record_seal(record, journal->seed, ++sequence, flushed);
        at += record_padded(record_len(record));
    }
    return sequence;
}

static int write_part(Journal *journal, Buffer *part, bool is_push, uint32_t *ret_segment,
                      uint64_t *ret_at) {
    int r = journal_failed(journal);
    uint64_t sequence, flushed;

    if (part->len == 0 || r < 0)
        return r;
    if (journal->fd < 0 || journal->at + part->len > journal->size)
        r = begin_segment(journal, part->len, is_push);
    if (r < 0)
        return r;
    *ret_segment = journal->number;
    *ret_at = journal->at;
    pthread_mutex_lock(&journal->lock);
    sequence = journal->sequence;
    flushed = journal->flushed;
    pthread_mutex_unlock(&journal->lock);
    sequence = seal_all(journal, part, sequence, flushed);
    r = file_ops->write(journal->fd, part->data, part->len, journal->at);
    if (r < 0)
        return fail(journal, r);
    journal->at += part->len;
    pthread_mutex_lock(&journal->lock);
    journal->sequence = sequence;
    pthread_mutex_unlock(&journal->lock);
    return 0;
}

/* Batches end in the order of their submission. A batch that no client waits for is done when it is
 * written, unless batches before it wait for a flush. */
static void queue_for_flush(Journal *journal, JournalBatch *batch) {
    bool is_done = false;

    batch->next = NULL;
    pthread_mutex_lock(&journal->lock);
    if (!journal->failed && (batch->flush_by_us == 0 || journal->written || journal->flushing)) {
        *journal->written_end = batch;
        journal->written_end = &batch->next;
        journal->flush_by_us = 0;
    } else {
        journal->few = false;
        hand_over(journal, take_written(journal));
        if (batch->flush_by_us < journal->flush_by_us)
            journal->flush_by_us = batch->flush_by_us;
        hand_over(journal, batch);
        is_done = true;
    }
    pthread_mutex_unlock(&journal->lock);
    if (is_done)
        waker_call(journal->waker);
}

static void write_batch(Journal *journal, JournalBatch *batch) {
    batch->pushes_result =
        write_part(journal, &batch->pushes, true, &batch->pushes_segment, &batch->pushes_at);
    if (batch->pushes_result == -ENOSPC)
        set_full(journal, true);
    batch->releases_result =
        write_part(journal, &batch->releases, false, &batch->releases_segment, &batch->releases_at);
    queue_for_flush(journal, batch);
}

/* ---- the work of a thread ---- */

static void write_all(Journal *journal, JournalBatch *list) {
    while (list) {
        JournalBatch *next = list->next;

        write_batch(journal, list);
        list = next;
    }
}

static void load(Journal *journal, uint32_t number) {
    SegmentBytes bytes;
    int r = segment_load(journal->folder, number, &bytes);

    pthread_mutex_lock(&journal->lock);
    journal->loaded = bytes;
    journal->load_result = r < 0 ? r : 1;
    pthread_mutex_unlock(&journal->lock);
    waker_call(journal->waker);
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
    if (reserve_fill(&journal->reserve) < 0)
        return;
    set_full(journal, false);
    waker_call(journal->waker);
}

/* The last record proves that all others were flushed: the next start recognises a damaged end. */
static void write_end(Journal *journal) {
    CLEANUP(buffer_deinit) Buffer last = {0};
    uint32_t number;
    uint64_t at;

    if (journal->fd < 0 || flush(journal) < 0)
        return;
    record_append(&last, &(DiskRecord){.type = RECORD_LAST, .id = journal->last_job});
    if (last.failed || write_part(journal, &last, false, &number, &at) < 0)
        return;
    if (flush(journal) == 0)
        file_ops->cut(journal->fd, journal->at);
}

/* Writes the submitted batches, and does other work with files. The caller holds the lock; it is
 * free during the work. */
static void write_locked(Journal *journal) {
    JournalBatch *list = journal->todo;
    uint32_t to_load = journal->to_load, to_remove = journal->to_remove;
    bool stopping = journal->stopping;

    journal->todo = NULL;
    journal->todo_end = &journal->todo;
    journal->to_load = journal->to_remove = 0;
    journal->writing = true;
    spin_woke(&journal->spin);
    if (to_load || to_remove) /* this takes long: the other thread flushes in time */
        wake_thread(journal);
    pthread_mutex_unlock(&journal->lock);
    write_all(journal, list);
    if (to_load)
        load(journal, to_load);
    if (to_remove)
        remove_segment(journal, to_remove);
    if (journal_is_full(journal) && journal_failed(journal) == 0)
        look_for_space(journal);
    if (stopping)
        write_end(journal);
    pthread_mutex_lock(&journal->lock);
    journal->writing = false;
    journal->ended = stopping;
    if (stopping) {
        call_thread(journal);
        pthread_cond_broadcast(&journal->cond);
    }
}

static bool has_to_write(const Journal *journal) {
    return journal->todo || journal->to_load || journal->to_remove || journal->stopping;
}

/* The time at which a thread has to look for work even if it is not woken; UINT64_MAX: never. */
static uint64_t next_look_us(const Journal *journal) {
    uint64_t at_us = journal->flushing ? UINT64_MAX : journal->flush_by_us;
    uint64_t full_us = clock_us() + UINT64_C(1000) * JOURNAL_RETRY_MS;

    if (journal->writing || !journal->full || journal->failed)
        return at_us;
    return at_us < full_us ? at_us : full_us;
}

static bool was_called_since(Journal *journal, unsigned n_calls) {
    return atomic_load_explicit(&journal->n_calls, memory_order_relaxed) != n_calls;
}

/* Polls while this pays, as it saves waking a processor. Only one thread polls, and only if the
 * other one sleeps. The caller holds the lock; it is free meanwhile. True: there may be work. */
static bool poll_for_work(Journal *journal) {
    unsigned n_calls = atomic_load_explicit(&journal->n_calls, memory_order_relaxed);
    Spin spin;

    if (!journal->few || journal->polling || journal->writing || journal->flushing ||
        !spin_begin(&journal->spin, clock_ns()))
        return false;
    spin = journal->spin;
    journal->polling = true;
    pthread_mutex_unlock(&journal->lock);
    while (!was_called_since(journal, n_calls) && spin_continues(&spin, clock_ns()))
        sched_yield();
    pthread_mutex_lock(&journal->lock);
    journal->polling = false;
    return was_called_since(journal, n_calls);
}

/* Waits until there is work for this thread. True: it is time to check whether a full disk has
 * space. */
static bool wait_for_work(Journal *journal) {
    uint64_t at_us;
    struct timespec until;

    if (poll_for_work(journal))
        return false;
    at_us = next_look_us(journal);
    until = (struct timespec){(time_t)(at_us / 1000000), (long)(at_us % 1000000) * 1000};
    if (at_us == UINT64_MAX)
        pthread_cond_wait(&journal->cond, &journal->lock);
    else if (pthread_cond_timedwait(&journal->cond, &journal->lock, &until) == ETIMEDOUT)
        return journal->full && !journal->failed && !journal->writing;
    return false;
}

static void *run(void *ctx) {
    Journal *journal = ctx;
    bool has_to_look = false;

    pthread_mutex_lock(&journal->lock);
    while (!journal->ended) {
        if (!journal->flushing && journal->flush_by_us <= clock_us()) {
            if (has_to_write(journal)) /* the other thread loads or removes */
                wake_thread(journal);
            flush_locked(journal);
        } else if (!journal->writing && (has_to_write(journal) || has_to_look)) {
            has_to_look = false;
            write_locked(journal);
        } else {
            has_to_look = wait_for_work(journal);
        }
    }
    pthread_mutex_unlock(&journal->lock);
    return NULL;
}

/* ---- from the broker's thread ---- */

static void end_threads(Journal *journal, uint64_t last_job) {
    pthread_mutex_lock(&journal->lock);
    journal->stopping = true;
    journal->last_job = last_job;
    wake_thread(journal);
    pthread_mutex_unlock(&journal->lock);
    while (journal->n_threads > 0)
        pthread_join(journal->threads[--journal->n_threads], NULL);
}

int journal_open(Journal *journal, Folder *folder, uint32_t number, uint64_t sequence,
                 Waker *waker) {
    int r;

    *journal = (Journal){.folder = folder,
                         .waker = waker,
                         .fd = -1,
                         .number = number,
                         .sequence = sequence,
                         .flushed = sequence,
                         .flush_by_us = UINT64_MAX,
                         .spin.limit_us = POLL_US};
    journal->todo_end = &journal->todo;
    journal->done_end = &journal->done;
    journal->written_end = &journal->written;
    r = reserve_open(&journal->reserve, folder);
    if (r == -ENOSPC)
        journal->full = true;
    else if (r < 0)
        return r;
    pthread_mutex_init(&journal->lock, NULL);
    cond_init(&journal->cond);
    cond_init(&journal->idle_cond);
    for (r = 0; r == 0 && journal->n_threads < 2; journal->n_threads += r == 0)
        r = thread_start(&journal->threads[journal->n_threads], run, journal);
    if (r < 0 && journal->n_threads > 0)
        end_threads(journal, 0);
    return r;
}

static void batches_free(JournalBatch *list) {
    while (list) {
        JournalBatch *next = list->next;

        batch_free(list);
        list = next;
    }
}

void journal_close(Journal *journal, uint64_t last_job) {
    if (journal->n_threads == 0)
        return;
    end_threads(journal, last_job);
    batches_free(journal->written);
    batches_free(journal->done);
    segment_unload(&journal->loaded);
    if (journal->fd >= 0)
        close(journal->fd);
    pthread_cond_destroy(&journal->cond);
    pthread_cond_destroy(&journal->idle_cond);
    pthread_mutex_destroy(&journal->lock);
}

void journal_submit(Journal *journal, JournalBatch *batch) {
    bool sleeps;

    batch->next = NULL;
    pthread_mutex_lock(&journal->lock);
    *journal->todo_end = batch;
    journal->todo_end = &batch->next;
    sleeps = call_thread(journal);
    pthread_mutex_unlock(&journal->lock);
    if (sleeps)
        pthread_cond_signal(&journal->cond); /* the thread that wakes takes the lock at once */
}

JournalBatch *journal_take_done(Journal *journal) {
    JournalBatch *list;

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
    wake_thread(journal);
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
    wake_thread(journal);
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
