#pragma once

/* How much memory this process may use at most: what the machine has, or less where a cgroup or a
 * resource limit says so. */

#include <stdint.h>

uint64_t memory_allowed(void);

/* The limit that a file of a cgroup holds ("max", or bytes); UINT64_MAX: none, or it cannot be
 * read. For tests, too. */
uint64_t memory_limit_in(const char *path);
