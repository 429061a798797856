/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* iconv with positions, reasons and the three ways of treating errors; without a network. */

#include "bytes.h"

/* The place and the reason where a conversion stopped. */
typedef struct CodecError {
    size_t position; /* octets when decoding, characters when encoding */
    uint32_t value;  /* the octet, or the code point */
    size_t length;   /* octets that are wrong */
    const char *reason;
} CodecError;

enum { CODEC_ERROR = 1 };

/* "utf-8"; NULL: there is no such codec. */
const char *codec_name(bytes_codec codec);

/**
 * Both functions allocate the result: free(*ret). The text ends with a NUL, which is not counted.
 *
 * @return 0, CODEC_ERROR with *reterr, or -ENOMEM.
 */
int codec_decode(bytes_codec codec, bytes_errors errors, ferry_bytes octets, char **ret,
                 CodecError *reterr);
int codec_encode(bytes_codec codec, bytes_errors errors, const char *text, char **ret,
                 size_t *ret_len, CodecError *reterr);
