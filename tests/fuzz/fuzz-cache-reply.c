/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes from a Redis port, in pieces, through the guard and the parser. The first byte chooses
 * the size of the pieces. The replies must not depend on the pieces.
 */

#include <stdlib.h>

#include "cache/connection/reply.h"
#include "cache/redis/slots.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int ignore(uint16_t first, uint16_t last, const CacheHost *host, void *ctx) {
    (void)first, (void)last, (void)host, (void)ctx;
    return 0;
}

static void look_at(const Reply *reply) {
    Redirect redirect;

    slots_parse(reply, ignore, NULL);
    if (reply->type == REPLY_ERROR && redirect_parse(reply_span(reply), &redirect) >= 0)
        free(redirect.host.name);
}

static size_t read_in_pieces(const uint8_t *data, size_t size, size_t piece) {
    ReplyReader reader;
    Reply *reply = NULL;
    size_t n = 0;

    if (reply_reader_init(&reader) < 0)
        return 0;
    for (size_t at = 0; at < size; at += piece) {
        int r = reply_reader_feed(&reader, data + at, size - at < piece ? size - at : piece);

        while (reply_reader_next(&reader, &reply) >= 0 && reply) {
            n++;
            look_at(reply);
            reply_free(reply);
        }
        if (r < 0)
            break;
    }
    reply_reader_deinit(&reader);
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    size_t piece = size > 0 ? data[0] % 64 + 1 : 1;

    if (size < 2)
        return 0;
    if (read_in_pieces(data + 1, size - 1, piece) < read_in_pieces(data + 1, size - 1, 1))
        abort();
    return 0;
}
