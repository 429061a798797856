/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Numbers as Redis writes them, and stamps: 16 hexadecimal digits that identify one state of a tag,
 * or one lease. */

#include <stdint.h>

#include "rpc/wire/reader.h"

enum { STAMP_BYTES = 16 };

/* Parses a decimal number in the form that Redis writes: no spaces, no leading zeros, no plus sign.
 * 0 or -EINVAL. */
int number_parse(Span text, int64_t *ret);

void stamp_format(uint64_t stamp, uint8_t to[STAMP_BYTES]);
uint64_t stamp_parse(Span text); /* Parses a stamp. 0: the text is not a stamp. */

/* Returns the time to live of a tag's stamp: twice that of the tagged entry, and at least a day. If
 * a stamp expires too early, a value is computed once more than necessary. */
static inline uint64_t stamp_ttl_ms(uint64_t ttl_ms) {
    const uint64_t day = UINT64_C(24) * 3600 * 1000;

    return ttl_ms == 0 ? 0 : ttl_ms * 2 > day ? ttl_ms * 2 : day;
}
