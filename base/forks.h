/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The number of forks between the first process and this one. A handle with sockets, locks or
 * threads belongs to the process that opened it, and a child must not use it. A counter is used
 * because getpid() would cost a system call for each check.
 */

/* Starts to count forks, and returns the number of forks so far. */
unsigned forks_watch(void);

/* The number of forks so far; 0 in a process that never called forks_watch(). */
unsigned forks_count(void);
