/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Ends the commands of this process when it dies, also by SIGKILL: a job is then redelivered, and
 * its command must not run on beside the next attempt.
 *
 * The keeper is a separate process that reads a socket. When this process ends, the socket closes,
 * and the keeper kills the process groups that still run. PR_SET_PDEATHSIG would reach only the
 * shell, and not the processes that the shell has started.
 */

#include <sys/types.h>

typedef struct KeptProgram {
    const char *path;
    char *const *arguments, *const *environment;
    int in, out, err; /* its standard descriptors; out -1: that of this process */
} KeptProgram;

/* Runs a program that leads a process group, with the usual signals. The keeper knows the group
 * before the program begins; without a keeper the program runs all the same. */
int keeper_spawn(const KeptProgram *program, pid_t *ret_group);
void keeper_remove(pid_t group);
