#pragma once

/* Random bytes from the kernel, and a fast generator for jitter and sampling. */

#include <stddef.h>
#include <stdint.h>

void random_bytes(void *to, size_t size);
uint64_t random_u64(void);

/* 0 <= result < below; below > 0. For jitter: not for keys. */
uint64_t random_below(uint64_t below);
