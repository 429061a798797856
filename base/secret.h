/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Memory for passwords: left out of core dumps, kept out of swap as far as the limit of locked
 * memory allows, and wiped when it is freed. Each secret takes whole pages, so use it for few
 * secrets.
 */

#include <stddef.h>

/* Zeroed memory. NULL: out of memory. */
void *secret_alloc(size_t size);

/* Wipes the memory. secret may be NULL. Returns NULL. */
void *secret_free(void *secret);
