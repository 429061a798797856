/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What a method's annotations say about remembering its answers, and the key of one call. */

#include <ferry/schema.h>

#include "base/buffer.h"
#include "rpc/wire/reader.h"

enum {
    MEMO_FIELDS_MAX = 16, /* of cache.key */
    MEMO_DEPTH_MAX = 8,   /* "a.b.c" has three */
    MEMO_KEY_MAX = 32768 - 256,
};

/* One way from the arguments to a value that belongs to the key. */
typedef struct MemoPath {
    uint32_t n;
    const ferry_field *fields[MEMO_DEPTH_MAX];
} MemoPath;

typedef struct MemoPlan MemoPlan;
struct MemoPlan {
    MemoPlan *next;
    const ferry_method *method;
    uint64_t ttl_ms, stale_ms, negative_ms;
    const char *tags; /* NULL: none */
    char shape[9];    /* of result and exceptions, as a hash: other versions have other keys */
    uint32_t n_paths; /* 0: all arguments make the key */
    MemoPath paths[MEMO_FIELDS_MAX];
};

/* False: an annotation is malformed (a table by hand): nothing is remembered then. */
bool memo_plan_read(const ferry_method *method, MemoPlan *ret);

/*
 * "service.method#shape " and the arguments, or the values that cache.key names, in MessagePack:
 * what is packed from one C type is the same bytes for the same value. False: too long, or out of
 * memory.
 */
bool memo_key(const MemoPlan *plan, Span service, const void *args, ferry_bytes packed, Buffer *to);
