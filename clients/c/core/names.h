/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Names that the program passes as text, checked and taken apart once: programs call the same few
 * methods over and over, mostly by the same string constants.
 */

#include <ferry/base.h>

#include "rpc/wire/message.h"
#include "rpc/wire/name.h"

typedef struct Name {
    size_t len;
    size_t dot;      /* where the last token begins, less one; 0: there is one token alone */
    bool is_brokers; /* it begins with "ferry." */
    char text[NAME_MAX_LEN + 1];
} Name;

typedef struct NameCache NameCache;

NameCache *names_new(void);
NameCache *names_free(NameCache *names);

/* NULL: no valid name, and reterr says why (ferry.Misuse). Lent until the next call. */
const Name *names_find(NameCache *names, const char *text, ferry_error *reterr);

/* Likewise; it must have two tokens at least: service and method. */
const Name *names_find_method(NameCache *names, const char *text, ferry_error *reterr);

static inline Span name_service(const Name *name) {
    return span_of(name->text, name->dot);
}

static inline Span name_method(const Name *name) {
    return span_of(name->text + name->dot + 1, name->len - name->dot - 1);
}

static inline Span name_span(const Name *name) {
    return span_of(name->text, name->len);
}
