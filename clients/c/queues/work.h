/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Working on the jobs of a queue: each is settled once, by its handler or later. */

#include <ferry/queue.h>

#include "base/block.h"
#include "clients/c/core/header-text.h"
#include "clients/c/core/registration.h"
#include "rpc/wire/name.h"

struct Job {
    BlockHeader header; /* what is handed out, `job`, follows it */
    ferry_job job;
    Core *core;           /* NULL: a copy that was kept */
    Job *next, *previous; /* held */
    uint64_t number, attempt;
    Span headers;
    HeaderText *text;
    void *copy; /* of what was lent, once it is deferred */
    bool deferred, settled, in_handler;
    char id[24];
    char queue[NAME_MAX_LEN + 1];
};

extern const Part jobs_part;
