/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The memory that this process may use: the memory of the machine, or a lower limit of a cgroup
 * or a resource limit. */

#include <stdint.h>

uint64_t memory_allowed(void);

/* Reads the limit in a file of a cgroup ("max", or a number of bytes). UINT64_MAX: there is no
 * limit, or the file cannot be read. Public for tests. */
uint64_t memory_limit_in(const char *path);
