#pragma once

/*
 * Which of several servers has a key: the continuum of libketama (Jones, Last.fm, 2007), point by
 * point, so that every client that follows it finds the same server. A server more or less moves
 * only its own share of the keys.
 */

#include <stddef.h>
#include <stdint.h>

#include "rpc/wire/reader.h"

enum { KETAMA_POINTS = 160 }; /* for each server; all weigh the same */

typedef struct KetamaPoint {
    uint32_t at;
    uint32_t server;
} KetamaPoint;

/* The points of these servers, named as written ("10.0.1.1:11211"), in order; malloc. NULL: out of
 * memory. Receives n * KETAMA_POINTS. */
KetamaPoint *ketama_new(const char *const *servers, size_t n);

uint32_t ketama_hash(Span key);

/* The server of the first point at or after the key's hash. */
uint32_t ketama_find(const KetamaPoint *points, size_t n, uint32_t hash);
