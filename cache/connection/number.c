/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers as Redis writes them, and stamps. See number.h. */

#include "cache/connection/number.h"

#include <errno.h>

int number_parse(Span text, int64_t *ret) {
    size_t at = text.len > 0 && text.data[0] == '-';
    size_t digits = text.len - at;
    uint64_t value = 0;

    if (digits == 0 || digits > 19 || (text.data[at] == '0' && (digits > 1 || at > 0)))
        return -EINVAL;
    for (size_t i = at; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return -EINVAL;
        value = value * 10 + (uint64_t)(text.data[i] - '0');
    }
    if (value > (uint64_t)INT64_MAX + at)
        return -EINVAL;
    *ret = at ? (int64_t)(0 - value) : (int64_t)value;
    return 0;
}

void stamp_format(uint64_t stamp, uint8_t to[STAMP_BYTES]) {
    for (int i = STAMP_BYTES - 1; i >= 0; i--, stamp >>= 4)
        to[i] = (uint8_t) "0123456789abcdef"[stamp & 15];
}

uint64_t stamp_parse(Span text) {
    uint64_t stamp = 0;

    if (text.len != STAMP_BYTES)
        return 0;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];

        if (c >= '0' && c <= '9')
            stamp = stamp << 4 | (uint64_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            stamp = stamp << 4 | (uint64_t)(c - 'a' + 10);
        else
            return 0;
    }
    return stamp;
}
