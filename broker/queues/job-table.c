/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All jobs by their numbers. Numbers count up; each life of the broker begins far above the one
 * before. So a hash of pages of consecutive numbers takes about ten bytes for each job, and finds a
 * job's neighbours without another look into the hash. See queues-private.h.
 */

#include "broker/queues/queues-private.h"

enum { PAGE_JOBS = 32 };

struct JobPage {
    UT_hash_handle hh;
    uint64_t number; /* the number of each of its jobs / PAGE_JOBS */
    uint32_t n;
    Job *jobs[PAGE_JOBS];
};

static JobPage *page_find(Queues *queues, uint64_t id) {
    uint64_t number = id / PAGE_JOBS;
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
    *page = (JobPage){.number = id / PAGE_JOBS};
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
    page->jobs[id % PAGE_JOBS] = job;
    page->n++;
    return 0;
}

Job *job_table_get(Queues *queues, uint64_t id) {
    const JobPage *page = page_find(queues, id);

    return page ? page->jobs[id % PAGE_JOBS] : NULL;
}

void job_table_take(Queues *queues, const Job *job) {
    JobPage *page = page_find(queues, job->stored.id);

    page->jobs[job->stored.id % PAGE_JOBS] = NULL;
    if (--page->n > 0)
        return;
    if (queues->last_page == page)
        queues->last_page = NULL;
    HASH_DEL(queues->pages, page);
    slabs_free(&queues->slabs, page, sizeof(*page));
}
