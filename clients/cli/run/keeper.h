/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Ends the commands of this process when it dies, also by SIGKILL: a job is then redelivered, and
 * its command must not run on beside the next attempt.
 *
 * The keeper is a process of its own that reads a pipe. The pipe ends with this process, and the
 * keeper kills the process groups that are still running. PR_SET_PDEATHSIG would reach the shell
 * alone, and not the processes that it has started.
 */

#include <sys/types.h>

/* Both do nothing if the keeper cannot be started. */
void keeper_add(pid_t group);
void keeper_remove(pid_t group);
