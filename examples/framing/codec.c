/* SPDX-License-Identifier: Apache-2.0 */
/* Where messages end: six ways. See codec.h. */

#include "codec.h"

#include <stdlib.h>

int bytes_add(Bytes *bytes, const void *data, size_t len) {
    if (len > bytes->size - bytes->len) {
        size_t size = bytes->size * 2 > bytes->len + len ? bytes->size * 2 : bytes->len + len;
        unsigned char *larger = realloc(bytes->data, size);

        if (!larger)
            return -ENOMEM;
        bytes->data = larger;
        bytes->size = size;
    }
    if (len > 0)
        memcpy(bytes->data + bytes->len, data, len);
    bytes->len += len;
    return 0;
}

const char *framing_check(framing_pattern pattern, const framing_settings *settings, int64_t *ret) {
    *ret = pattern;
    if (!framing_pattern_name(pattern))
        return "pattern";
    *ret = settings->length;
    if (settings->length < 1 || settings->length > FRAMING_MAX)
        return "length";
    *ret = settings->delimiter;
    if (settings->delimiter < 0 || settings->delimiter > 255)
        return "delimiter";
    *ret = settings->limit;
    if (settings->limit < 0 || settings->limit > FRAMING_MAX)
        return "limit";
    if (settings->announced && *settings->announced < 0) {
        *ret = *settings->announced;
        return "announced";
    }
    return NULL;
}

/* ---- decoding ---- */

static bool is_whole(framing_pattern pattern) {
    return pattern == FRAMING_PATTERN_CLOSE || pattern == FRAMING_PATTERN_HALF_CLOSE;
}

static bool has_header(framing_pattern pattern) {
    return pattern == FRAMING_PATTERN_LENGTH_PREFIXED || pattern == FRAMING_PATTERN_BLOCKS;
}

static void next_message(Decoder *d) {
    d->message.len = 0;
    d->n_header = 0;
    d->offset = d->at;
    d->in_body = !has_header(d->pattern);
    d->expected = d->pattern == FRAMING_PATTERN_FIXED ? (uint64_t)d->settings.length : 0;
    d->block_left = d->expected;
}

void decoder_init(Decoder *d, framing_pattern pattern, const framing_settings *settings) {
    *d = (Decoder){.pattern = pattern, .settings = *settings};
    next_message(d);
}

void decoder_deinit(Decoder *d) {
    free(d->message.data);
    *d = (Decoder){0};
}

static int complete(Decoder *d, message_fn fn, void *ctx) {
    int r = fn(d->message.data, d->message.len, ctx);

    d->messages++;
    next_message(d);
    return r;
}

static int grow(Decoder *d, const unsigned char *data, size_t len) {
    if (d->message.len + len > (uint64_t)d->settings.limit) {
        d->too_long = d->message.len + len;
        return FRAMING_TOO_LONG;
    }
    d->at += len;
    return bytes_add(&d->message, data, len);
}

/* Takes the available bytes of a header. When the header is complete, the length of the block is
 * known. */
static int take_header(Decoder *d, const unsigned char **data, size_t *len) {
    while (*len > 0 && d->n_header < sizeof(d->header)) {
        d->header[d->n_header++] = *(*data)++;
        --*len;
        d->at++;
    }
    if (d->n_header < sizeof(d->header))
        return 0;
    d->in_body = true;
    d->expected = (uint64_t)d->header[0] << 24 | (uint64_t)d->header[1] << 16 |
                  (uint64_t)d->header[2] << 8 | d->header[3];
    d->block_left = d->expected;
    if (d->message.len + d->expected > (uint64_t)d->settings.limit) {
        d->too_long = d->message.len + d->expected;
        return FRAMING_TOO_LONG;
    }
    return 0;
}

/* Ends a complete block, and the message, if this was its last block. */
static int end_block(Decoder *d, message_fn fn, void *ctx) {
    if (d->pattern != FRAMING_PATTERN_BLOCKS || d->expected == 0)
        return complete(d, fn, ctx);
    d->in_body = false;
    d->n_header = 0;
    return 0;
}

/* Takes bytes of a block with a known length, or of a message that ends with a delimiter or with
 * the stream. */
static int take_body(Decoder *d, const unsigned char **data, size_t *len, message_fn fn,
                     void *ctx) {
    size_t n = *len;
    bool ends = false;
    int r;

    if (d->pattern == FRAMING_PATTERN_DELIMITED) {
        const unsigned char *end = memchr(*data, d->settings.delimiter, n);

        ends = end != NULL;
        n = end ? (size_t)(end - *data) : n;
    } else if (!is_whole(d->pattern)) {
        n = d->block_left < n ? (size_t)d->block_left : n;
        ends = d->block_left == n;
        d->block_left -= n;
    }
    r = grow(d, *data, n);
    if (r != 0)
        return r;
    *data += n;
    *len -= n;
    if (ends && d->pattern == FRAMING_PATTERN_DELIMITED) {
        ++*data;
        --*len;
        d->at++;
    }
    return ends ? end_block(d, fn, ctx) : 0;
}

int decoder_feed(Decoder *d, const void *bytes, size_t len, message_fn fn, void *ctx) {
    const unsigned char *data = bytes;
    int r = 0;

    while (r == 0 && len > 0) {
        if (!d->in_body)
            r = take_header(d, &data, &len);
        /* An empty block is complete without any further byte. */
        if (r == 0 && d->in_body && (len > 0 || (has_header(d->pattern) && d->expected == 0)))
            r = take_body(d, &data, &len, fn, ctx);
    }
    return r;
}

int decoder_finish(Decoder *d, message_fn fn, void *ctx) {
    if (is_whole(d->pattern)) {
        if (d->settings.announced && (int64_t)d->at < *d->settings.announced)
            return FRAMING_TRUNCATED;
        return complete(d, fn, ctx);
    }
    return d->at > d->offset ? FRAMING_TRUNCATED : 0;
}

bool decoder_missing(const Decoder *d, int64_t *expected, int64_t *received) {
    if (is_whole(d->pattern)) {
        *expected = d->settings.announced ? *d->settings.announced : -1;
        *received = (int64_t)d->at;
        return d->settings.announced != NULL;
    }
    *received = (int64_t)d->message.len;
    *expected = -1;
    if (d->pattern == FRAMING_PATTERN_DELIMITED)
        return false;
    *expected = d->in_body ? (int64_t)d->expected : (int64_t)sizeof(d->header);
    *received = d->in_body ? (int64_t)(d->expected - d->block_left) : (int64_t)d->n_header;
    return true;
}

/* ---- encoding ---- */

static int add_block(Bytes *to, const unsigned char *data, size_t len) {
    const unsigned char header[4] = {(unsigned char)(len >> 24), (unsigned char)(len >> 16),
                                     (unsigned char)(len >> 8), (unsigned char)len};
    int r = bytes_add(to, header, sizeof(header));

    return r < 0 ? r : bytes_add(to, data, len);
}

static int add_blocks(Bytes *to, const unsigned char *data, size_t len, size_t most) {
    int r = 0;

    for (size_t n; r == 0 && len > 0; data += n, len -= n) {
        n = len < most ? len : most;
        r = add_block(to, data, n);
    }
    return r < 0 ? r : add_block(to, NULL, 0);
}

const char *encode_message(Bytes *to, framing_pattern pattern, const framing_settings *settings,
                           size_t index, ferry_bytes message, int *ret_r) {
    const unsigned char delimiter = (unsigned char)settings->delimiter;

    *ret_r = 0;
    if (is_whole(pattern) && index > 0)
        return "a connection that ends carries one message";
    if (pattern == FRAMING_PATTERN_FIXED && message.len != (size_t)settings->length)
        return "it does not have the fixed length";
    if (pattern == FRAMING_PATTERN_DELIMITED && message.len > 0 &&
        memchr(message.data, delimiter, message.len))
        return "it contains the delimiter";
    if (pattern == FRAMING_PATTERN_LENGTH_PREFIXED)
        *ret_r = add_block(to, message.data, message.len);
    else if (pattern == FRAMING_PATTERN_BLOCKS)
        *ret_r = add_blocks(to, message.data, message.len, (size_t)settings->length);
    else
        *ret_r = bytes_add(to, message.data, message.len);
    if (*ret_r == 0 && pattern == FRAMING_PATTERN_DELIMITED)
        *ret_r = bytes_add(to, &delimiter, 1);
    return NULL;
}
