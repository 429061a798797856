/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Consistent hashing of keys over servers: the continuum of libketama (Jones, Last.fm, 2007), point
 * by point, so that every client with this algorithm finds the same server. Adding or removing a
 * server moves only its own share of the keys.
 */

#include <stddef.h>
#include <stdint.h>

#include "rpc/wire/reader.h"

enum { KETAMA_POINTS = 160 }; /* for each server; all servers have the same weight */

typedef struct KetamaPoint {
    uint32_t at;
    uint32_t server;
} KetamaPoint;

/* Returns the sorted points of these servers, named as written ("10.0.1.1:11211"): n *
 * KETAMA_POINTS, from malloc(). NULL: out of memory. */
KetamaPoint *ketama_new(const char *const *servers, size_t n);

uint32_t ketama_hash(Span key);

/* Returns the server of the first point at or after the key's hash. */
uint32_t ketama_find(const KetamaPoint *points, size_t n, uint32_t hash);
