/* SPDX-License-Identifier: Apache-2.0 */
/* Compression and decompression, in one call and as streams. */

#include <stdlib.h>

#include "inflater.h"
#include "server.h"
#include "zlib-api.h"

/* ---- errors ---- */

static int bad_argument(ferry_request *request, const char *name, int64_t value,
                        const char *range) {
    char message[80];

    snprintf(message, sizeof(message), "%s is %s, not %lld", name, range, (long long)value);
    return zlib_throw_bad_argument(request, &(zlib_bad_argument){name, value, message});
}

static int bad_level(ferry_request *request, int32_t level) {
    return bad_argument(request, "level", level, "-1 to 9");
}

static int bad_limit(ferry_request *request, int64_t limit) {
    return bad_argument(request, "limit", limit, "0 to 33554432");
}

/* Answers with the error that inflater_feed() returned. */
static int refuse(ferry_request *request, const Inflater *inflater, int r) {
    int64_t in = (int64_t)inflater->in, out = (int64_t)inflater->out;
    char message[128];

    if (r == INFLATER_CORRUPT) {
        const char *reason = inflater_reason(inflater);

        snprintf(message, sizeof(message), "%s, at byte %lld", reason, (long long)in);
        return zlib_throw_corrupt(request, &(zlib_corrupt){in, out, reason, message});
    }
    if (r == INFLATER_TOO_LARGE) {
        snprintf(message, sizeof(message), "more than %lld bytes come out of the first %lld",
                 (long long)inflater->limit, (long long)in);
        return zlib_throw_too_large(request,
                                    &(zlib_too_large){(int64_t)inflater->limit, in, message});
    }
    return ferry_request_fail(request, r, NULL);
}

static int truncated(ferry_request *request, const Inflater *inflater) {
    int64_t in = (int64_t)inflater->in, out = (int64_t)inflater->out;
    char message[96];

    snprintf(message, sizeof(message), "the input ends at byte %lld, before the compressed data",
             (long long)in);
    return zlib_throw_truncated(request, &(zlib_truncated){in, out, message});
}

/* ---- in one call ---- */

static int compress_all(ferry_request *request, ferry_bytes data, int32_t level, void *ctx) {
    uLongf len = compressBound(data.len);
    FERRY_AUTO(ferry_free) unsigned char *out = NULL;

    (void)ctx;
    if (level < -1 || level > 9)
        return bad_level(request, level);
    out = ferry_alloc(len);
    if (!out || compress2(out, &len, data.data, data.len, level) != Z_OK)
        return -ENOMEM;
    return zlib_compress_return(request, ferry_bytes_of(out, len));
}

typedef struct Growing {
    unsigned char *data;
    size_t len, size;
} Growing;

static int append(const void *data, size_t len, void *ctx) {
    Growing *to = ctx;

    if (len > to->size - to->len) {
        size_t size = 2 * to->size + len;
        unsigned char *larger = realloc(to->data, size);

        if (!larger)
            return -ENOMEM;
        to->data = larger;
        to->size = size;
    }
    memcpy(to->data + to->len, data, len);
    to->len += len;
    return 0;
}

static int decompress_all(ferry_request *request, ferry_bytes data, int64_t limit, void *ctx) {
    Growing out = {NULL, 0, 0};
    Inflater inflater;
    size_t used;
    int r;

    (void)ctx;
    if (limit < 0 || limit > ZLIB_LIMIT)
        return bad_limit(request, limit);
    r = inflater_init(&inflater, (uint64_t)limit);
    if (r < 0)
        return r;
    r = inflater_feed(&inflater, data.data, data.len, &used, append, &out);
    if (r != 0)
        r = refuse(request, &inflater, r);
    else if (!inflater.finished)
        r = truncated(request, &inflater);
    else
        r = zlib_decompress_return(
            request,
            &(zlib_extracted){ferry_bytes_of(out.data, out.len),
                              ferry_bytes_of((const char *)data.data + used, data.len - used)});
    inflater_deinit(&inflater);
    free(out.data);
    return r;
}

/* ---- as streams ---- */

/* Compresses the input in z and sends the output; at the end also the rest that z holds. */
static int deflate_some(ferry_request *request, z_stream *z, int flush) {
    unsigned char piece[16 * 1024];
    int r = 0;

    do {
        z->next_out = piece;
        z->avail_out = sizeof(piece);
        deflate(z, flush);
        if (z->avail_out < sizeof(piece))
            r = zlib_compressobj_yield(request,
                                       ferry_bytes_of(piece, sizeof(piece) - z->avail_out));
    } while (r == 0 && z->avail_out == 0);
    return r;
}

static int compress_stream(ferry_request *request, int32_t level, void *ctx) {
    z_stream z = {0};
    ferry_bytes *packet;
    int r;

    (void)ctx;
    if (level < -1 || level > 9)
        return bad_level(request, level);
    if (deflateInit(&z, level) != Z_OK)
        return -ENOMEM;
    while ((r = zlib_compressobj_receive(request, &packet)) > 0) {
        z.next_in = (unsigned char *)packet->data;
        z.avail_in = (uInt)packet->len;
        r = deflate_some(request, &z, Z_NO_FLUSH);
        ferry_free(packet);
        if (r < 0)
            break;
    }
    if (r == 0)
        r = deflate_some(request, &z, Z_FINISH);
    deflateEnd(&z);
    return r < 0 ? ferry_request_fail(request, r, NULL) : zlib_compressobj_return(request);
}

/* The newest piece of a packet. It waits for the next piece, because only the last piece carries
 * the rest.
 */
typedef struct Held {
    ferry_request *request;
    size_t len;
    unsigned char data[INFLATER_PIECE];
} Held;

static int hold(const void *data, size_t len, void *ctx) {
    Held *held = ctx;
    int r = 0;

    if (held->len > 0)
        r = zlib_decompressobj_yield(
            held->request, &(zlib_piece){ferry_bytes_of(held->data, held->len), {0}, false});
    memcpy(held->data, data, len);
    held->len = len;
    return r;
}

static int decompress_packet(ferry_request *request, Inflater *inflater,
                             const ferry_bytes *packet) {
    Held held;
    size_t used = 0;
    int r;

    held.request = request;
    held.len = 0;
    r = inflater_feed(inflater, packet->data, packet->len, &used, hold, &held);
    if (r != 0)
        return r;
    return zlib_decompressobj_yield(
        request,
        &(zlib_piece){ferry_bytes_of(held.data, held.len),
                      ferry_bytes_of((const char *)packet->data + used, packet->len - used),
                      inflater->finished});
}

static int decompress_stream(ferry_request *request, int64_t limit, void *ctx) {
    ferry_bytes *packet;
    Inflater inflater;
    int r;

    (void)ctx;
    if (limit < 0 || limit > ZLIB_LIMIT)
        return bad_limit(request, limit);
    r = inflater_init(&inflater, (uint64_t)limit);
    if (r < 0)
        return r;
    while ((r = zlib_decompressobj_receive(request, &packet)) > 0) {
        r = decompress_packet(request, &inflater, packet);
        ferry_free(packet);
        if (r != 0)
            break;
    }
    if (r != 0)
        r = refuse(request, &inflater, r);
    else if (!inflater.finished)
        r = truncated(request, &inflater);
    else
        r = zlib_decompressobj_return(request);
    inflater_deinit(&inflater);
    return r;
}

int zlib_start(ferry_client *client, ferry_error *reterr) {
    static const zlib_handlers handlers = {.compress = compress_all,
                                           .decompress = decompress_all,
                                           .compressobj = compress_stream,
                                           .decompressobj = decompress_stream};

    return zlib_serve(client, &handlers, NULL, NULL, NULL, reterr);
}
