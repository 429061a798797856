/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Conversion of JSON text to MessagePack, and back. Pure: no network. */

#include <ferry/pack.h>

typedef struct JsonError {
    size_t at;          /* octets of the text, or of the MessagePack */
    size_t len;         /* JSON_NUMBER: octets of the number */
    const char *reason; /* JSON_MALFORMED, JSON_NOT_JSON */
} JsonError;

enum { JSON_MALFORMED = 1, JSON_NUMBER, JSON_TOO_DEEP, JSON_NOT_JSON };

/* Both functions return 0, one of the codes above with *reterr, or -ENOMEM. */

int text_to_packed(const char *text, ferry_packer *to, JsonError *reterr);

/* free(*ret). */
int packed_to_text(ferry_bytes value, bool ensure_ascii, char **ret, JsonError *reterr);
