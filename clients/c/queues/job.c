/* SPDX-License-Identifier: Apache-2.0 */

/* A job of a worker, from its arrival until it is settled. See job.h. */

#include "clients/c/queues/job.h"

#include <assert.h>
#include <stdlib.h>
#include <utlist.h>

#include "clients/c/core/loop.h"
#include "clients/c/core/session.h"
#include "clients/c/queues/work.h"

enum { LONG_MS = 20 }; /* if a handler ran for this long, its job may have been lost meanwhile */

static_assert(offsetof(Delivery, job) == sizeof(BlockHeader), "a job follows its header");

/* ---- ferry_keep() on a job ---- */

const void *job_keep(const void *block) {
    const Delivery *job = job_of(block);
    const ferry_bytes body = job->job.body;
    const void *inner = body.block ? ferry_keep(body.block) : NULL;
    size_t fixed = sizeof(Delivery) - sizeof(BlockHeader);
    ferry_job *copy;
    Delivery *kept;
    char *at;

    if (body.block && !inner)
        return NULL;
    copy = block_new_around(fixed + header_text_size(job->headers) + (inner ? 0 : body.len), inner);
    if (!copy) {
        ferry_free(inner);
        return NULL;
    }
    kept = job_of(copy);
    memcpy(copy, &job->job, fixed);
    kept->core = NULL;
    kept->settled = true;
    kept->confirm = NULL;
    kept->moved = NULL;
    kept->lost_due = false;
    kept->job.id = kept->id + (job->job.id - job->id);
    kept->job.queue = kept->queue;
    at = (char *)copy + fixed;
    kept->text = header_text_init(at, job->headers);
    if (!inner) {
        at += header_text_size(job->headers);
        if (body.len > 0)
            memcpy(at, body.data, body.len);
        kept->job.body = ferry_bytes_of(at, body.len);
    }
    return copy;
}

/* ---- its life ---- */

void job_hold(Core *core, Delivery *job) {
    DL_PREPEND(core->jobs->in_flight, job);
}

void job_let_go(Core *core, Delivery *job) {
    DL_DELETE(core->jobs->in_flight, job);
}

static void job_free(Core *core, Delivery *job) {
    free(job->confirm);
    if (job->text)
        free(job->text);
    if (job->copy) {
        ferry_free(job->job.body.block);
        free(job->copy);
    }
    if (job->is_of_slabs)
        slabs_free(&core->slabs, job, sizeof(*job));
    else
        free(job);
}

void job_move(Delivery *job, Core *member) {
    Core *from = job->core;

    job_let_go(from, job);
    job->core = core_ref(member);
    job_hold(member, job);
    if (job->deferred) {
        from->n_jobs--;
        member->n_jobs++;
    }
    if (job->has_core)
        core_unref(from);
    job->has_core = true;
}

void job_lose(Delivery *job, ferry_lost_reason reason) {
    if (job->lost)
        return;
    job->lost = true;
    job->reason = (uint8_t)reason;
    if (!job->on_lost)
        return;
    job->lost_due = true;
    job->core->jobs->n_lost_due++;
    core_raise(job->core);
}

/* Frees the job, once its handler has returned and it is settled. */
void job_end(Core *core, Delivery *job) {
    bool has_core = job->has_core;

    if (job->in_handler || !job->settled || job->moved)
        return;
    core->n_jobs -= job->deferred;
    job_free(core, job);
    if (has_core)
        core_unref(core);
}

void job_done(Delivery *job) {
    job_let_go(job->core, job);
    job_end(job->core, job);
}

ferry_job *ferry_job_defer(ferry_job *job) {
    Delivery *mine = job ? job_of(job) : NULL;
    ferry_bytes body;
    char *copy;

    if (!mine || mine->settled || !mine->in_handler || mine->deferred)
        return mine && mine->deferred ? job : NULL;
    body = job->body;
    copy = malloc(mine->headers.len + (body.block ? 0 : body.len) + 1);
    if (!copy)
        return NULL;
    if (body.block) {
        ferry_keep(body.block);
    } else {
        if (body.len > 0)
            memcpy(copy + mine->headers.len, body.data, body.len);
        job->body.data = copy + mine->headers.len;
    }
    if (mine->headers.len > 0)
        memcpy(copy, mine->headers.data, mine->headers.len);
    mine->headers.data = (const uint8_t *)copy;
    mine->copy = copy;
    mine->deferred = true;
    mine->core->n_jobs++;
    if (!mine->has_core)
        core_ref(mine->core);
    mine->has_core = true;
    return job;
}

static const HeaderText *text_of(const ferry_job *job) {
    Delivery *mine = job ? job_of(job) : NULL;

    if (mine && !mine->text && mine->core && mine->headers.len > 0)
        mine->text = header_text_new(mine->headers);
    return mine ? mine->text : NULL;
}

const char *ferry_job_header(const ferry_job *job, const char *name) {
    const HeaderText *text = name ? text_of(job) : NULL;

    return text ? header_text_find(text, name) : NULL;
}

const char *ferry_job_header_after(const ferry_job *job, const char *name) {
    const HeaderText *text = text_of(job);

    return text ? header_text_after(text, name) : NULL;
}

/* ---- lost jobs ---- */

/* After a long handler, a LOST message may have arrived without being read yet. */
bool job_is_lost(Delivery *job) {
    Core *core = job->core;

    if (!job->lost && core->is_up && clock_about_ms() > job->began_ms + LONG_MS)
        core_look(core);
    return job->lost;
}

bool ferry_job_lost(ferry_job *job) {
    Delivery *mine = job ? job_of(job) : NULL;

    if (!mine || !mine->core || mine->settled || mine->core->closed)
        return true;
    core_look(mine->core);
    return mine->lost;
}
