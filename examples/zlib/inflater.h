/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Decompression with counters and a limit, without a network: bytes in, bytes out. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <zlib.h>

/* Returns 0 to continue; another value ends the decompression and is returned by it. */
typedef int (*output_fn)(const void *data, size_t len, void *ctx);

typedef struct Inflater {
    z_stream z;
    uint64_t in, out; /* bytes taken in, bytes given out */
    uint64_t limit;   /* of out */
    bool finished;    /* the compressed data has ended */
} Inflater;

enum { INFLATER_CORRUPT = 1, INFLATER_TOO_LARGE = 2, INFLATER_PIECE = 16 * 1024 };

int inflater_init(Inflater *inflater, uint64_t limit); /* -ENOMEM */
void inflater_deinit(Inflater *inflater);

/**
 * Decompresses bytes, and gives out the result INFLATER_PIECE bytes at a time.
 *
 * @param ret_used  Receives how many were taken: all, unless the compressed data ends among them.
 *
 * @return 0, INFLATER_CORRUPT, INFLATER_TOO_LARGE, -ENOMEM, or the error that fn returned.
 */
int inflater_feed(Inflater *inflater, const void *data, size_t len, size_t *ret_used, output_fn fn,
                  void *ctx);

/* Returns the reason why the input is corrupt: a text of zlib. */
const char *inflater_reason(const Inflater *inflater);
