/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The six patterns, without a network: bytes in, messages out, and the other way. */

#include "framing.h"

enum { FRAMING_MAX = 16 * 1024 * 1024 };

/* A growing buffer. All zeros: empty. free(data) at the end. */
typedef struct Bytes {
    unsigned char *data;
    size_t len, size;
} Bytes;

int bytes_add(Bytes *bytes, const void *data, size_t len); /* -ENOMEM */

/* NULL: the settings are valid. Else the name of the first bad setting, and its value. */
const char *framing_check(framing_pattern pattern, const framing_settings *settings, int64_t *ret);

/* ---- decoding ---- */

/* Returns 0 to continue; another value ends the decoding and is returned by it. */
typedef int (*message_fn)(const void *data, size_t len, void *ctx);

typedef struct Decoder {
    framing_pattern pattern;
    framing_settings settings;
    uint64_t messages, offset; /* complete messages; where the next one begins */
    uint64_t at;               /* bytes taken in */
    unsigned char header[4];
    size_t n_header;
    uint64_t block_left; /* of the block, or of the message, that is being read */
    uint64_t expected;   /* its total bytes */
    bool in_body;
    Bytes message;
    uint64_t too_long; /* the size above the limit; 0: no message was too long */
} Decoder;

enum { FRAMING_TOO_LONG = 1, FRAMING_TRUNCATED = 2 };

void decoder_init(Decoder *decoder, framing_pattern pattern, const framing_settings *settings);
void decoder_deinit(Decoder *decoder);

/* 0, FRAMING_TOO_LONG, -ENOMEM, or the error that fn returned. */
int decoder_feed(Decoder *decoder, const void *data, size_t len, message_fn fn, void *ctx);

/* Ends the stream. 0, FRAMING_TRUNCATED, or the error that fn returned. */
int decoder_finish(Decoder *decoder, message_fn fn, void *ctx);

/* After FRAMING_TRUNCATED: the expected and the received number of bytes. False: the expected
 * number is unknown. */
bool decoder_missing(const Decoder *decoder, int64_t *expected, int64_t *received);

/* ---- encoding ---- */

/* Adds one message. Returns NULL, or the reason why the pattern cannot carry it. *ret_r is 0 or
 * -ENOMEM. */
const char *encode_message(Bytes *to, framing_pattern pattern, const framing_settings *settings,
                           size_t index, ferry_bytes message, int *ret_r);
