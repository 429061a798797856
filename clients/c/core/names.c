/* SPDX-License-Identifier: Apache-2.0 */

/* A cache of checked names. See names.h. */

#include "clients/c/core/names.h"

#include <stdlib.h>

#include "base/error.h"
#include "base/text.h"

enum { SLOTS = 64 };

struct NameCache {
    CachedName slots[SLOTS];
};

NameCache *names_new(void) {
    return calloc(1, sizeof(NameCache));
}

NameCache *names_free(NameCache *names) {
    free(names);
    return NULL;
}

static int refuse(const char *text, size_t len, ferry_error *reterr) {
    char escaped[TEXT_ESCAPED_MAX];

    return error_set(reterr, "ferry.Misuse", "invalid name '%s': %s",
                     text_escape(escaped, text, len), name_problem(text, len));
}

const char *ferry_name_problem(const char *name) {
    size_t len = name ? strnlen(name, NAME_MAX_LEN + 1) : 0;

    return name_is_valid(name, len) ? NULL : name_problem(name, len);
}

const CachedName *names_find(NameCache *names, const char *text, ferry_error *reterr) {
    /* The address of the text chooses the slot. The text is compared, too: it may have changed. */
    CachedName *slot = &names->slots[((uintptr_t)text * 0x9E3779B97F4A7C15u) >> 58];
    const char *dot;
    size_t len;

    if (!text) {
        error_set(reterr, "ferry.Misuse", "the name is NULL");
        return NULL;
    }
    if (slot->len > 0 && strcmp(slot->text, text) == 0)
        return slot;
    len = strnlen(text, NAME_MAX_LEN + 1);
    if (!name_is_valid(text, len)) {
        refuse(text, len, reterr);
        return NULL;
    }
    memcpy(slot->text, text, len + 1);
    slot->len = len;
    dot = strrchr(slot->text, '.');
    slot->is_brokers = name_is_reserved(text, len);
    slot->dot = dot ? (size_t)(dot - slot->text) : 0;
    return slot;
}

const CachedName *names_find_method(NameCache *names, const char *text, ferry_error *reterr) {
    const CachedName *name = names_find(names, text, reterr);

    if (name && name->dot == 0) {
        error_set(reterr, "ferry.Misuse", "invalid method '%s': write service.method", name->text);
        return NULL;
    }
    return name;
}
