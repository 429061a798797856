/* SPDX-License-Identifier: Apache-2.0 */

/* Capitalises a stream, a piece at a time. */

#include "server.h"
#include "caps.h"

/* Capitalises bytes up to the first one that is not ASCII. Returns the number of converted bytes.
 */
static size_t capitalize(unsigned char *to, const unsigned char *from, size_t len) {
    unsigned char all = 0;

    for (size_t i = 0; i < len; i++) {
        unsigned char is_small = (unsigned char)(from[i] - 'a') < 26;

        to[i] = (unsigned char)(from[i] - 32 * is_small);
        all |= from[i];
    }
    for (size_t i = 0; all > 127 && i < len; i++)
        if (from[i] > 127)
            return i;
    return len;
}

static int not_ascii(ferry_request *request, uint64_t offset, unsigned value) {
    char message[80];

    snprintf(message, sizeof(message), "byte 0x%02x at position %llu is not ASCII", value,
             (unsigned long long)offset);
    return caps_throw_not_ascii(request,
                                &(caps_not_ascii){(int64_t)offset, (int32_t)value, message});
}

/* Handles one piece of the stream. `offset` is the number of octets before it. */
static int pass_on(ferry_request *request, const ferry_bytes *piece, uint64_t offset) {
    FERRY_AUTO(ferry_free) unsigned char *capitals = ferry_alloc(piece->len);
    const unsigned char *text = piece->data;
    size_t good;

    if (!capitals)
        return -ENOMEM;
    good = capitalize(capitals, text, piece->len);
    if (good < piece->len) {
        int r = not_ascii(request, offset + good, text[good]);

        return r < 0 ? r : 1;
    }
    /* This waits while the caller does not read. The block is sent without a copy. */
    return caps_capitalize_yield(request, ferry_shared(capitals, piece->len));
}

static int on_capitalize(ferry_request *request, void *ctx) {
    uint64_t offset = 0;
    ferry_bytes *piece;
    int r;

    (void)ctx;
    while ((r = caps_capitalize_receive(request, &piece)) > 0) {
        r = pass_on(request, piece, offset);
        offset += piece->len;
        ferry_free(piece);
        if (r > 0)
            return 0; /* thrown */
        if (r < 0)
            break;
    }
    return r < 0 ? ferry_request_fail(request, r, NULL) : caps_capitalize_return(request);
}

int caps_start(ferry_client *client, ferry_error *reterr) {
    static const caps_handlers handlers = {.capitalize = on_capitalize};

    return caps_serve(client, &handlers, NULL, NULL, NULL, reterr);
}
