/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All jobs by their numbers. Numbers count up; each life of the broker begins far above the one
 * before. So a hash of pages of consecutive numbers takes about ten bytes for each job, and finds a
 * job's neighbours without another look into the hash. With shards, a page has consecutive numbers
 * of one shard. See queues-private.h.
 */

#include <utlist.h>

#include "broker/queues/jobs-private.h"
#include "broker/queues/queues-private.h"

enum { PAGE_JOBS = 32, CLASSES = 64 };

struct JobPage {
    UT_hash_handle hh;
    uint64_t number; /* see number_of() */
    uint32_t n;
    Job *jobs[PAGE_JOBS];
};

/* The page of a job. With shards, the numbers of one shard's jobs are CLASSES apart: see
 * shards.c. */
static uint64_t number_of(const Queues *queues, uint64_t id) {
    if (queues->n_shards == 0)
        return id / PAGE_JOBS;
    return id / CLASSES / PAGE_JOBS * CLASSES + id % CLASSES;
}

static Job **place_of(const Queues *queues, JobPage *page, uint64_t id) {
    return &page->jobs[(queues->n_shards == 0 ? id : id / CLASSES) % PAGE_JOBS];
}

static JobPage *page_find(Queues *queues, uint64_t id) {
    uint64_t number = number_of(queues, id);
    JobPage *page = queues->last_page;

    if (page && page->number == number)
        return page;
    HASH_FIND(hh, queues->pages, &number, sizeof(number), page);
    if (page)
        queues->last_page = page;
    return page;
}

static JobPage *page_new(Queues *queues, uint64_t id) {
    JobPage *page = slabs_alloc(&queues->slabs, sizeof(*page));

    if (!page)
        return NULL;
    *page = (JobPage){.number = number_of(queues, id)};
    HASH_ADD(hh, queues->pages, number, sizeof(page->number), page);
    if (!hash_added(page)) {
        slabs_free(&queues->slabs, page, sizeof(*page));
        return NULL;
    }
    queues->last_page = page;
    return page;
}

int job_table_put(Queues *queues, Job *job) {
    uint64_t id = job->stored.id;
    JobPage *page = page_find(queues, id);

    if (!page)
        page = page_new(queues, id);
    if (!page)
        return -ENOMEM;
    *place_of(queues, page, id) = job;
    page->n++;
    return 0;
}

Job *job_table_get(Queues *queues, uint64_t id) {
    JobPage *page = page_find(queues, id);

    return page ? *place_of(queues, page, id) : NULL;
}

void job_table_take(Queues *queues, const Job *job) {
    JobPage *page = page_find(queues, job->stored.id);

    *place_of(queues, page, job->stored.id) = NULL;
    if (--page->n > 0)
        return;
    if (queues->last_page == page)
        queues->last_page = NULL;
    walks_pass(queues->broker->walks, page, page->hh.next);
    HASH_DEL(queues->pages, page);
    slabs_free(&queues->slabs, page, sizeof(*page));
}

void job_table_walk(Queues *queues, TableWalk *walk) {
    walk->at = queues->pages;
    DL_APPEND(queues->broker->walks, walk);
}

bool job_table_walk_on(Queues *queues, TableWalk *walk, const Store *shard, unsigned max,
                       void (*fn)(Job *job)) {
    Job *jobs[PAGE_JOBS];

    for (unsigned work = 0; walk->at && work < max; work++) {
        JobPage *page = walk->at;

        walk->at = page->hh.next;
        memcpy(jobs, page->jobs, sizeof(jobs)); /* fn may free the page */
        for (unsigned i = 0; i < PAGE_JOBS; i++)
            if (jobs[i] && queue_of(jobs[i])->settings.store == shard) {
                fn(jobs[i]);
                work++;
            }
    }
    if (walk->at)
        return true;
    DL_DELETE(queues->broker->walks, walk);
    return false;
}
