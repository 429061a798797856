/* SPDX-License-Identifier: Apache-2.0 */
/* The texts of a Redis cluster. See slots.h. */

#include "cache/redis/slots.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Four bits at a time: a table of 32 bytes instead of 512. */
static const uint16_t nibbles[16] = {0x0000, 0x1021, 0x2042, 0x3063, 0x4084, 0x50a5,
                                     0x60c6, 0x70e7, 0x8108, 0x9129, 0xa14a, 0xb16b,
                                     0xc18c, 0xd1ad, 0xe1ce, 0xf1ef};

static uint16_t crc16(const uint8_t *data, size_t len) {
    uint16_t crc = 0;

    for (size_t i = 0; i < len; i++) {
        crc = (uint16_t)(crc << 4 ^ nibbles[(crc >> 12 ^ data[i] >> 4) & 15]);
        crc = (uint16_t)(crc << 4 ^ nibbles[(crc >> 12 ^ data[i]) & 15]);
    }
    return crc;
}

uint16_t slot_of_key(Span key) {
    const uint8_t *open = memchr(key.data, '{', key.len);

    if (open) {
        const uint8_t *from = open + 1, *end = key.data + key.len;
        const uint8_t *close = memchr(from, '}', (size_t)(end - from));

        if (close && close > from)
            return crc16(from, (size_t)(close - from)) % SLOTS;
    }
    return crc16(key.data, key.len) % SLOTS;
}

/* " 3999 127.0.0.1:6381"; IPv6 without brackets, so the last colon counts; the host may be empty.
 */
static int parse_target(Span text, Redirect *ret) {
    const char *at = (const char *)text.data, *end = at + text.len, *colon, *port;
    unsigned long number = 0;
    int digits = 0;

    for (; at < end && *at >= '0' && *at <= '9' && digits < 6; at++, digits++)
        number = number * 10 + (unsigned long)(*at - '0');
    if (digits == 0 || number >= SLOTS || at == end || *at++ != ' ')
        return -EPROTO;
    ret->slot = (uint16_t)number;
    colon = memrchr(at, ':', (size_t)(end - at));
    if (!colon || colon - at > 255)
        return -EPROTO;
    number = 0;
    for (port = colon + 1, digits = 0; port < end && *port >= '0' && *port <= '9' && digits < 6;
         port++, digits++)
        number = number * 10 + (unsigned long)(*port - '0');
    if (digits == 0 || port < end || number == 0 || number > UINT16_MAX)
        return -EPROTO;
    ret->host.port = (uint16_t)number;
    if (colon == at)
        return 0;
    if (*at == '[' && colon[-1] == ']' && colon - at > 2)
        ret->host.name = strndup(at + 1, (size_t)(colon - at) - 2);
    else
        ret->host.name = strndup(at, (size_t)(colon - at));
    return ret->host.name ? 0 : -ENOMEM;
}

int redirect_parse(Span error, Redirect *ret) {
    static const char *const later[] = {"TRYAGAIN", "CLUSTERDOWN", "LOADING", "MASTERDOWN"};
    size_t head;

    *ret = (Redirect){.kind = REDIRECT_NONE};
    for (size_t i = 0; i < sizeof(later) / sizeof(*later); i++)
        if (span_begins(error, later[i]))
            ret->kind = REDIRECT_LATER;
    if (span_begins(error, "MOVED "))
        ret->kind = REDIRECT_MOVED;
    else if (span_begins(error, "ASK "))
        ret->kind = REDIRECT_ASK;
    else
        return 0;
    head = ret->kind == REDIRECT_MOVED ? 6 : 4;
    return parse_target((Span){error.data + head, error.len - head}, ret);
}

static int walk_range(const Reply *range, SlotsFn fn, void *ctx) {
    const Reply *master;
    char name[256];
    CacheHost host = {NULL, 0};

    if (range->type != REPLY_ARRAY || range->n < 3 || range->elements[0]->type != REPLY_INTEGER ||
        range->elements[1]->type != REPLY_INTEGER || range->elements[2]->type != REPLY_ARRAY)
        return -EPROTO;
    int64_t first = range->elements[0]->integer, last = range->elements[1]->integer;

    master = range->elements[2];
    if (first < 0 || last < first || last >= SLOTS || master->n < 2 ||
        master->elements[1]->type != REPLY_INTEGER || master->elements[1]->integer < 1 ||
        master->elements[1]->integer > UINT16_MAX)
        return -EPROTO;
    host.port = (uint16_t)master->elements[1]->integer;
    if (master->elements[0]->type == REPLY_STRING && master->elements[0]->bytes.len > 0) {
        Span text = reply_span(master->elements[0]);

        if (text.len >= sizeof(name) || memchr(text.data, 0, text.len))
            return -EPROTO;
        memcpy(name, text.data, text.len);
        name[text.len] = '\0';
        /* "?": a node that does not know its own name yet. */
        host.name = strcmp(name, "?") == 0 ? NULL : name;
    } else if (master->elements[0]->type != REPLY_NIL &&
               master->elements[0]->type != REPLY_STRING) {
        return -EPROTO;
    }
    return fn((uint16_t)first, (uint16_t)last, &host, ctx);
}

int slots_parse(const Reply *reply, SlotsFn fn, void *ctx) {
    int r = 0;

    if (reply->type != REPLY_ARRAY)
        return -EPROTO;
    for (size_t i = 0; i < reply->n && r >= 0; i++)
        r = walk_range(reply->elements[i], fn, ctx);
    return r;
}
