#pragma once

/* Working on the jobs of a queue: each is settled once, by its handler or later. */

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

void work_job(Core *core, const Message *message, const void *block);

/* Appends the list of [job, attempt] that are held, for HELLO. */
void jobs_held(Core *core, Buffer *to);

/* The client is closed: what is not settled goes back to the broker with the session. */
void jobs_shut(Core *core);
