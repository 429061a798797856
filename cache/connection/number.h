#pragma once

/* Numbers as Redis writes them, and stamps: 16 hexadecimal digits that tell one state of a tag, or
 * one lease, from all others. */

#include <stdint.h>

#include "rpc/wire/reader.h"

enum { STAMP_BYTES = 16 };

/* Decimal, as Redis would write it: no spaces, no leading zeros, no plus. 0 or -EINVAL. */
int number_parse(Span text, int64_t *ret);

void stamp_format(uint64_t stamp, uint8_t to[STAMP_BYTES]);
uint64_t stamp_parse(Span text); /* 0: that is none */

/* How long the stamp of a tag lives that something with this ttl has: twice as long, at least a
 * day. A stamp that goes too early costs a computation, no more. */
static inline uint64_t stamp_ttl_ms(uint64_t ttl_ms) {
    const uint64_t day = UINT64_C(24) * 3600 * 1000;

    return ttl_ms == 0 ? 0 : ttl_ms * 2 > day ? ttl_ms * 2 : day;
}
