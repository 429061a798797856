/* SPDX-License-Identifier: Apache-2.0 */

/*
 * If the store of a job can read its content back, the content need not be in memory. When the
 * contents of all waiting jobs have more than max_queue_memory bytes, the contents that have been
 * in memory for the longest time are dropped. The store reads a content back, in a thread of its
 * own, when the job is to be delivered, moved or shown.
 *
 * Small contents and contents of jobs in flight stay in memory.
 */

#include <errno.h>
#include <utlist.h>

#include "broker/queues/jobs-private.h"
#include "broker/queues/queues-private.h"

enum {
    TRIM_MAX = 4096,      /* contents that one turn may drop */
    UNWRITTEN_MAX = 64,   /* after this many jobs that the store has not written, a turn drops no
                           * more */
    LOAD_JOBS = 256,      /* jobs that are read ahead */
    LOAD_BYTES = 2 << 20, /* bytes that are read ahead */
    LOADING_BYTES = 16 << 20, /* bytes that are being read, for all queues */
};

/* ---- in memory ---- */

static size_t size_of(size_t cap) {
    return sizeof(PagedContent) + cap;
}

static uint64_t bytes_of(const PagedContent *content) {
    return size_of(content->message.cap) + stored_message_body(&content->message).len;
}

int paging_keep(Job *job, const Message *message, const void *block) {
    Queues *queues = queue_of(job)->queues;
    size_t cap = stored_message_cap(message, block, STORE_FIELDS);
    PagedContent *content = slabs_alloc(&queues->slabs, size_of(cap));

    if (!content)
        return -ENOMEM;
    if (stored_message_put(&content->message, cap, message, block, STORE_FIELDS) < 0) {
        slabs_free(&queues->slabs, content, size_of(cap));
        return -ENOMEM;
    }
    content->job = job;
    content->prev = content->next = NULL;
    job->paging.content = content;
    queues->paged_bytes += bytes_of(content);
    queues->broker->budget.bytes[BUDGET_QUEUES] += stored_message_body(&content->message).len;
    return 0;
}

void paging_drop(Job *job) {
    Queues *queues = queue_of(job)->queues;
    PagedContent *content = job->pageable ? job->paging.content : NULL;

    if (!content)
        return;
    paging_job_leaves(job);
    job->paging.content = NULL;
    queues->paged_bytes -= bytes_of(content);
    queues->broker->budget.bytes[BUDGET_QUEUES] -= stored_message_body(&content->message).len;
    stored_message_drop(&content->message);
    slabs_free(&queues->slabs, content, size_of(content->message.cap));
}

void paging_job_waits(Job *job) {
    Queues *queues = queue_of(job)->queues;

    if (job->pageable && job->paging.content && !job->awaits_dead_letter)
        DL_APPEND(queues->pageable, job->paging.content);
}

void paging_job_leaves(Job *job) {
    Queues *queues = queue_of(job)->queues;
    PagedContent *content = job->pageable ? job->paging.content : NULL;

    if (!content || !content->prev) /* the first element's prev is the last one */
        return;
    DL_DELETE(queues->pageable, content);
    content->prev = content->next = NULL;
}

bool paging_out(Job *job) {
    Queue *queue = queue_of(job);
    const Store *store = queue->settings.store;

    if (!job->pageable || !job->paging.content || !store->ops->has_content(store, &job->stored))
        return false;
    paging_drop(job);
    queue->n_paged_out++;
    return true;
}

void paging_trim(Queues *queues) {
    uint64_t max = queues->broker->limits.max_queue_memory;
    int n_unwritten = 0;

    for (int n = 0; queues->paged_bytes > max && queues->pageable && n < TRIM_MAX; n++) {
        Job *job = queues->pageable->job;

        if (paging_out(job))
            continue;
        /* The store has not written this job yet: let paging_trim() go on with the jobs behind
         * it. */
        paging_job_leaves(job);
        paging_job_waits(job);
        if (++n_unwritten == UNWRITTEN_MAX)
            return;
    }
}

/* ---- reading back ---- */

static bool load(Job *job) {
    Queue *queue = queue_of(job);

    if (store_load(queue->settings.store, &job->stored) < 0)
        return false;
    job->loading = true;
    queue->n_loading++;
    queue->queues->loading_bytes += job_bytes(job);
    return true;
}

void paging_load_ended(Job *job) {
    Queue *queue = queue_of(job);

    job->loading = false;
    queue->n_loading--;
    queue->queues->loading_bytes -= job_bytes(job);
}

/* A million jobs may expire at once, and each dead letter needs the content of its job. Contents
 * that are being read, or were read and are being stored again, must not fill the memory. */
static bool may_load(const Queues *queues) {
    uint64_t max = queues->broker->limits.max_queue_memory;

    return queues->loading_bytes == 0 ||
           (queues->loading_bytes < LOADING_BYTES && queues->loading_bytes < max / 2 &&
            queues->paged_bytes <= max);
}

void paging_load(Job *job) {
    Queue *queue = queue_of(job);
    /* Read ahead a quarter of the limit at most: these contents stay in memory until their
     * delivery. */
    uint64_t bytes = 0, quarter = queue->queues->broker->limits.max_queue_memory / 4;
    uint64_t max = quarter < LOAD_BYTES ? quarter : LOAD_BYTES;

    if (job->loading)
        return;
    for (int n = 0; job && n < LOAD_JOBS && bytes <= max; n++, job = job->next) {
        if (!job_is_paged_out(job) || job->loading)
            continue;
        if (!may_load(queue->queues) || !load(job)) {
            queue_touch(queue); /* read on in another turn */
            return;
        }
        bytes += job_bytes(job);
    }
}

void paging_load_to_move(Job *job) {
    Queue *queue = queue_of(job);
    const Queues *queues = queue->queues;

    /* A disk may be slower than the reading: a moved content is in memory until the store has
     * written it. */
    if (queues->paged_bytes > queues->broker->limits.max_queue_memory && queues->pendings) {
        queue_touch(queue);
        return;
    }
    paging_load(job);
}
