/* SPDX-License-Identifier: Apache-2.0 */
/* The header in front of a stored value. See entry.h. */

#include "cache/stores/entry.h"

#include <errno.h>
#include <math.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

static uint8_t *put_le(uint8_t *to, uint64_t value, int bytes) {
    for (int i = 0; i < bytes; i++)
        *to++ = (uint8_t)(value >> (8 * i));
    return to;
}

static uint64_t get_le(const uint8_t *at, int bytes) {
    uint64_t value = 0;

    for (int i = bytes - 1; i >= 0; i--)
        value = value << 8 | at[i];
    return value;
}

size_t entry_write_header(const CacheEntry *entry, uint8_t to[ENTRY_HEADER_MAX]) {
    uint8_t *at = to + ENTRY_FIXED;
    size_t len;

    for (size_t i = 0; i < entry->n_tags; i++) {
        const EntryTag *tag = &entry->tags[i];

        *at++ = (uint8_t)tag->name.len;
        memcpy(at, tag->name.data, tag->name.len);
        at = put_le(at + tag->name.len, tag->stamp, 8);
    }
    len = (size_t)(at - to) + 4;
    to[0] = 0xC1;
    to[1] = 0x66;
    to[2] = (uint8_t)entry->kind;
    to[3] = (uint8_t)entry->n_tags;
    put_le(to + 4, len, 2);
    put_le(to + 6, 0, 2);
    put_le(to + 8, entry->fresh_until_ms, 8);
    put_le(to + 16, entry->took_us, 4);
    put_le(to + 20, entry->nonce, 4);
    put_le(at, XXH3_64bits(to, len - 4), 4);
    return len;
}

static bool read_tags(const uint8_t *at, const uint8_t *end, CacheEntry *ret) {
    for (size_t i = 0; i < ret->n_tags; i++) {
        size_t len;

        if (at == end)
            return false;
        len = *at++;
        if (len == 0 || len > FERRY_CACHE_TAG_MAX || (size_t)(end - at) < len + 8)
            return false;
        ret->tags[i] = (EntryTag){{at, len}, get_le(at + len, 8)};
        at += len + 8;
    }
    return at == end;
}

static bool read_header(Span stored, CacheEntry *ret) {
    size_t len;

    if (stored.len < ENTRY_FIXED + 4 || !entry_looks_like_header(stored))
        return false;
    len = get_le(stored.data + 4, 2);
    if (len < ENTRY_FIXED + 4 || len > stored.len ||
        get_le(stored.data + len - 4, 4) != (uint32_t)XXH3_64bits(stored.data, len - 4))
        return false;
    ret->kind = stored.data[2];
    ret->n_tags = stored.data[3];
    ret->fresh_until_ms = get_le(stored.data + 8, 8);
    ret->took_us = (uint32_t)get_le(stored.data + 16, 4);
    ret->nonce = (uint32_t)get_le(stored.data + 20, 4);
    ret->header = (Span){stored.data, len};
    ret->value = (Span){stored.data + len, stored.len - len};
    return ret->kind >= ENTRY_PLAIN && ret->kind <= ENTRY_NEGATIVE &&
           ret->n_tags <= FERRY_CACHE_TAGS_MAX &&
           read_tags(stored.data + ENTRY_FIXED, stored.data + len - 4, ret);
}

void entry_read(Span stored, CacheEntry *ret) {
    if (read_header(stored, ret))
        return;
    ret->kind = ENTRY_RAW;
    ret->fresh_until_ms = 0;
    ret->took_us = ret->nonce = 0;
    ret->n_tags = 0;
    ret->header = (Span){stored.data, 0};
    ret->value = stored;
}

int entry_parse_tags(const char *text, CacheEntry *ret) {
    ret->n_tags = 0;
    if (!text || !*text)
        return 0;
    for (const char *at = text;; at++) {
        size_t len = strcspn(at, ",");

        if (len == 0 || len > FERRY_CACHE_TAG_MAX || ret->n_tags == FERRY_CACHE_TAGS_MAX)
            return -EINVAL;
        for (size_t i = 0; i < len; i++)
            if ((uint8_t)at[i] < 0x20 || at[i] == 0x7F)
                return -EINVAL;
        ret->tags[ret->n_tags++] = (EntryTag){{(const uint8_t *)at, len}, 0};
        at += len;
        if (!*at)
            return 0;
    }
}

bool entry_is_early(const CacheEntry *entry, uint64_t now_ms, double random) {
    double ahead_ms = -log(random) * entry->took_us / 1000.0;

    return entry->kind == ENTRY_COMPUTED && entry->fresh_until_ms != 0 &&
           (double)now_ms + ahead_ms >= (double)entry->fresh_until_ms;
}
