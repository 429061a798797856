/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The memory that this process may use: the memory of the machine, or a lower limit of a cgroup
 * or a resource limit. */

#include <stdint.h>

uint64_t memory_allowed(void);

/* The limit in a file of a cgroup ("max", or bytes). UINT64_MAX: no limit, or the file cannot
 * be read. Public for tests. */
uint64_t memory_limit_in(const char *path);
