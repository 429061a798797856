/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Runs the stages of a pipeline: each has worker processes, `ferry work` with the stage's settings.
 * A worker that dies is started again after a pause, which grows while workers die at once.
 *
 * Stages stop in order: a stage stops when all stages before it have stopped and its queue has no
 * job that is ready or in flight. Its workers finish the jobs that they have.
 */

#include "clients/cli/pipelines/pipeline-file.h"
#include "clients/cli/run/cli.h"

/* Returns an exit status, and closes the client. is_drain: ends when the queues are empty, else by
 * a signal. */
int supervisor_run(Cli *cli, ferry_client *client, const PipelineFile *file, bool is_drain);
