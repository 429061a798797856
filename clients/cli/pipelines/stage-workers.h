/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The worker processes of one stage: started, started again when they die, stopped. Their output is
 * copied to the same descriptors of this process.
 */

#include "clients/cli/pipelines/pipeline-file.h"
#include "clients/cli/run/cli.h"
#include "clients/cli/run/loop.h"

typedef struct StageWorker StageWorker;

typedef struct StageWorkers {
    Loop *loop;
    const Cli *cli;
    /* Called before a worker's output is printed. */
    void (*before_output)(void *ctx);
    /* Prints a line for the person at the terminal. */
    void (*note)(void *ctx, const char *text);
    /* A worker has ended; it is counted in n_running no more. */
    void (*ended)(void *ctx);
    void *ctx;

    const PipelineStage *stage;
    StageWorker *v;
    size_t n;
    unsigned n_running;
    uint64_t n_restarts;
    bool is_stopping; /* a worker that ends is not started again */
} StageWorkers;

/* The fields up to ctx are set by the caller, the others are zero. -ENOMEM. */
int workers_init(StageWorkers *workers, const PipelineStage *stage);
void workers_deinit(StageWorkers *workers);

/* A negative errno: a worker could not be started; earlier ones run. */
int workers_start(StageWorkers *workers);

/* Stops the workers; they finish the jobs that they have. */
void workers_stop(StageWorkers *workers);
void workers_signal(const StageWorkers *workers, int signal);

/* Waits for the ends of all workers, and kills them at until_ms. */
void workers_wait(StageWorkers *workers, uint64_t until_ms);
