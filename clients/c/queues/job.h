/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A job of a worker: it is settled once, by its handler or later. */

#include <ferry/queue.h>

#include "base/block.h"
#include "base/container.h"
#include "clients/c/core/core.h"
#include "clients/c/core/header-text.h"
#include "rpc/wire/name.h"

struct Delivery {
    BlockHeader header; /* the program's pointer, `job`, follows it */
    ferry_job job;
    Core *core;            /* NULL: a copy made by ferry_keep() */
    Delivery *prev, *next; /* of core->jobs->in_flight */
    uint64_t number, attempt;
    uint64_t began_ms;
    Span headers;
    HeaderText *text;
    void *copy; /* a copy of the borrowed bytes, when the job is deferred */
    bool deferred, settled, in_handler;
    bool is_of_slabs; /* otherwise malloc() made it: it may go to another core */
    bool has_core;    /* it has a reference to its core */
    MovedJob *moved;  /* its queue is going to another broker; NULL */
    bool lost;        /* the broker has taken the job back and would refuse a settlement */
    bool lost_due;    /* on_lost is to be called */
    uint8_t reason;
    ferry_job_lost_fn on_lost; /* of its worker; NULL: not wanted */
    void *ctx;
    /* Waits for the confirmation of its settlement; NULL: no confirmation is wanted. */
    Settlement *confirm;
    char id[24];
    char queue[NAME_MAX_LEN + 1];
};

static inline Delivery *job_of(const ferry_job *job) {
    return container_of(job, Delivery, job);
}

/* For ferry_keep(): copies the job. */
const void *job_keep(const void *block);

/* The list of jobs in flight. */
void job_hold(Core *core, Delivery *job);
void job_let_go(Core *core, Delivery *job);

/* A member takes the job over from another one. */
void job_move(Delivery *job, Core *member);

/* Frees the job, once its handler has returned and it is settled. */
void job_end(Core *core, Delivery *job);
/* A settled job leaves the list, and ends. */
void job_done(Delivery *job);

/* The broker has taken the job back. */
void job_lose(Delivery *job, ferry_lost_reason reason);

/* True: the broker has taken the job back. After a long handler it looks for a LOST message that is
 * not read yet. */
bool job_is_lost(Delivery *job);
