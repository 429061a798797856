/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The bytes stored under a key. A value that a program sets without tags is stored unchanged, so
 * that other programs can read it and Redis can increment it. All other entries have a header:
 * computed values, values with tags, and values that look like a header themselves.
 *
 *     0   C1 66      no MessagePack value begins with C1
 *     2   kind
 *     3   number of tags
 *     4   u16        bytes in this header
 *     6   u16        0
 *     8   u64        fresh until: milliseconds of the wall clock; 0: no limit
 *     16  u32        microseconds of the computation
 *     20  u32        random: identifies this entry among those of the same key
 *     24  for each tag: its length in a byte, its bytes, u64 stamp
 *     ..  u32        XXH3 of the header so far, which tells it from values that look like one
 *
 * Little endian. The value follows.
 */

#include <stdbool.h>

#include <ferry/cache.h>

#include "rpc/wire/reader.h"

enum {
    ENTRY_FIXED = 24,
    ENTRY_HEADER_MAX = ENTRY_FIXED + FERRY_CACHE_TAGS_MAX * (1 + FERRY_CACHE_TAG_MAX + 8) + 4,
};

typedef enum EntryKind {
    ENTRY_RAW,      /* no header */
    ENTRY_PLAIN,    /* set by a program */
    ENTRY_COMPUTED, /* computed by ferry_cache_fetch() */
    ENTRY_NEGATIVE, /* the computation found no value */
} EntryKind;

typedef struct EntryTag {
    Span name;
    uint64_t stamp; /* the tag's stamp when the entry was made; if the tag has another stamp, the
                       entry is invalid */
} EntryTag;

typedef struct CacheEntry {
    EntryKind kind;
    uint64_t fresh_until_ms;
    uint32_t took_us;
    uint32_t nonce;
    size_t n_tags;
    EntryTag tags[FERRY_CACHE_TAGS_MAX];
    Span header; /* empty: ENTRY_RAW */
    Span value;
} CacheEntry;

/* True: the value begins like a header, so it must be stored with a header. */
static inline bool entry_looks_like_header(Span value) {
    return value.len >= 2 && value.data && value.data[0] == 0xC1 && value.data[1] == 0x66;
}

/* Writes the header of kind, fresh_until_ms, took_us, nonce and tags; returns its length. */
size_t entry_write_header(const CacheEntry *entry, uint8_t to[ENTRY_HEADER_MAX]);

/* Never fails: bytes without a header are a value. The spans point into stored. */
void entry_read(Span stored, CacheEntry *ret);

/* "users,user:7" into tags, without stamps. 0; -EINVAL: malformed, too long, too many. */
int entry_parse_tags(const char *text, CacheEntry *ret);

/* True if this caller should compute the value again although it is fresh: XFetch (Vattani and
 * others, VLDB 2015), with a probability that grows towards the end of the time to live and with
 * the cost of the computation. random: 0 < random <= 1. */
bool entry_is_early(const CacheEntry *entry, uint64_t now_ms, double random);
