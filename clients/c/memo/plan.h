/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The caching plan of a method, from its annotations, and the key of one call. */

#include <ferry/schema.h>

#include "base/buffer.h"
#include "rpc/wire/reader.h"

enum {
    MEMO_FIELDS_MAX = 16, /* fields in cache.key */
    MEMO_DEPTH_MAX = 8,   /* "a.b.c" has a depth of three */
    MEMO_KEY_MAX = 32768 - 256,
};

/* The path from the arguments to one value of the key. */
typedef struct MemoPath {
    uint32_t n;
    const ferry_field *fields[MEMO_DEPTH_MAX];
} MemoPath;

typedef struct MemoPlan MemoPlan;
struct MemoPlan {
    MemoPlan *next;
    const ferry_method *method;
    uint64_t ttl_ms, stale_ms, negative_ms;
    const char *tags; /* NULL: no tags */
    char shape[9]; /* hash of the types of result and exceptions: other versions have other keys */
    uint32_t n_paths; /* 0: the key has all arguments */
    MemoPath paths[MEMO_FIELDS_MAX];
};

/* False: an annotation is malformed (possible in a handwritten table); answers are not cached
 * then. */
bool memo_plan_read(const ferry_method *method, MemoPlan *ret);

/*
 * Writes the key: "service.method#shape " and the arguments in MessagePack, or the values that
 * cache.key names. Equal values of one C type give equal bytes. False: the key is too long, or out
 * of memory.
 */
bool memo_key(const MemoPlan *plan, Span service, const void *args, ferry_bytes packed, Buffer *to);
