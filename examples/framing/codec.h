/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The six patterns, without a network: bytes in, messages out, and the other way. */

#include "framing.h"

enum { FRAMING_MAX = 16 * 1024 * 1024 };

/* Bytes that grow. Starts as zeros; free(data). */
typedef struct Bytes {
    unsigned char *data;
    size_t len, size;
} Bytes;

int bytes_add(Bytes *bytes, const void *data, size_t len); /* -ENOMEM */

/* NULL: the settings are valid. Else the name of the first bad setting, and its value. */
const char *framing_check(framing_pattern pattern, const framing_settings *settings, int64_t *ret);

/* ---- decoding ---- */

/* 0 goes on; anything else ends the decoding and is returned by it. */
typedef int (*message_fn)(const void *data, size_t len, void *ctx);

typedef struct Decoder {
    framing_pattern pattern;
    framing_settings settings;
    uint64_t messages, offset; /* complete ones; where the next begins */
    uint64_t at;               /* bytes taken in */
    unsigned char header[4];
    size_t n_header;
    uint64_t block_left; /* of the block, or of the message, that is being read */
    uint64_t expected;   /* bytes of that one */
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

/* After FRAMING_TRUNCATED: how many bytes of what were there. false: nobody knows how many there
 * should have been. */
bool decoder_missing(const Decoder *decoder, int64_t *expected, int64_t *received);

/* ---- encoding ---- */

/* Adds one message. NULL, or why the pattern cannot carry it; *ret_r is -ENOMEM, or 0. */
const char *encode_message(Bytes *to, framing_pattern pattern, const framing_settings *settings,
                           size_t index, ferry_bytes message, int *ret_r);
