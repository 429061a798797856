/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Ends the commands of this process when it dies, also by SIGKILL: a job is then redelivered, and
 * its command must not run on beside the next attempt.
 *
 * The keeper is a separate process that reads a pipe. When this process ends, the pipe closes, and
 * the keeper kills the process groups that still run. PR_SET_PDEATHSIG would reach only the shell,
 * and not the processes that the shell has started.
 */

#include <sys/types.h>

/* Both do nothing if the keeper cannot be started. */
void keeper_add(pid_t group);
void keeper_remove(pid_t group);
