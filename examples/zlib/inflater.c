/* SPDX-License-Identifier: Apache-2.0 */
/* Decompression with counters and a limit. See inflater.h. */

#include "inflater.h"

#include <errno.h>

int inflater_init(Inflater *inflater, uint64_t limit) {
    *inflater = (Inflater){.limit = limit};
    return inflateInit(&inflater->z) == Z_OK ? 0 : -ENOMEM;
}

void inflater_deinit(Inflater *inflater) {
    inflateEnd(&inflater->z);
}

const char *inflater_reason(const Inflater *inflater) {
    return inflater->z.msg ? inflater->z.msg : "a preset dictionary is needed";
}

int inflater_feed(Inflater *inflater, const void *data, size_t len, size_t *ret_used, output_fn fn,
                  void *ctx) {
    z_stream *z = &inflater->z;
    unsigned char piece[INFLATER_PIECE];
    int r = 0, status = Z_OK;

    z->next_in = (unsigned char *)data; /* zlib does not write to it */
    z->avail_in = (uInt)len;
    /* More output may follow a full piece, even when all input is consumed. */
    while (r == 0 && !inflater->finished && status == Z_OK) {
        size_t n;

        z->next_out = piece;
        z->avail_out = sizeof(piece);
        status = inflate(z, Z_NO_FLUSH);
        n = sizeof(piece) - z->avail_out;
        inflater->finished = status == Z_STREAM_END;
        if (status == Z_MEM_ERROR)
            r = -ENOMEM;
        else if (status != Z_OK && status != Z_STREAM_END && status != Z_BUF_ERROR)
            r = INFLATER_CORRUPT;
        else if (n > inflater->limit - inflater->out)
            r = INFLATER_TOO_LARGE;
        else if (n > 0)
            r = fn(piece, n, ctx);
        if (r == 0)
            inflater->out += n;
        if (z->avail_in == 0 && z->avail_out > 0)
            break;
    }
    *ret_used = len - z->avail_in;
    inflater->in += *ret_used;
    return r;
}
