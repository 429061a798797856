/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A cache of checked and parsed names. Programs call the same few methods again and again, mostly
 * with the same string constants.
 */

#include <ferry/base.h>

#include "rpc/wire/message.h"
#include "rpc/wire/name.h"

typedef struct CachedName {
    size_t len;
    size_t dot;      /* offset of the last dot; 0: the name has one token */
    bool is_brokers; /* the name begins with "ferry." */
    char text[NAME_MAX_LEN + 1];
} CachedName;

typedef struct NameCache NameCache;

NameCache *names_new(void);
NameCache *names_free(NameCache *names);

/* Returns the parsed name, borrowed until the next call. NULL: the name is invalid; reterr has the
 * reason (ferry.Misuse). */
const CachedName *names_find(NameCache *names, const char *text, ferry_error *reterr);

/* As names_find(), for a name of at least two tokens: service and method. */
const CachedName *names_find_method(NameCache *names, const char *text, ferry_error *reterr);

static inline Span name_service(const CachedName *name) {
    return span_of(name->text, name->dot);
}

static inline Span name_method(const CachedName *name) {
    return span_of(name->text + name->dot + 1, name->len - name->dot - 1);
}

static inline Span name_span(const CachedName *name) {
    return span_of(name->text, name->len);
}
