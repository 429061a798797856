/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The append-only file of a Redis server holds each write in its order: it is the log of the leases
 * of the spaces there, and of the calls that each lease has made. A lease begins with a new fencing
 * token, and the calls of a part ("pushes", "releases") count up from 1. So a write of a broker
 * that had lost its lease would stand out.
 */

#include <stddef.h>
#include <stdint.h>

typedef struct AofVerdict {
    size_t n_leases, n_calls;
    size_t n_wrong; /* tokens that did not grow, and calls that were not the next one of their
                     * lease */
} AofVerdict;

enum { AOF_SHARDS_MAX = 16 };

/* Reads the files of the server with this folder, which does not write meanwhile, and adds its
 * leases and calls of the space with this name, or of its n_shards shards. */
void aof_check(const char *folder, const char *name, unsigned n_shards, AofVerdict *verdict);
