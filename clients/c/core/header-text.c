/* SPDX-License-Identifier: Apache-2.0 */
/* Headers as texts. See header-text.h. */

#include "clients/c/core/header-text.h"

#include <stdlib.h>

/* Pairs of name, NUL, value, NUL; an empty name ends the list. */
struct HeaderText {
    char pairs[1];
};

size_t header_text_size(Span headers) {
    /* A string in MessagePack has a head of at least one byte; the text has a NUL instead. */
    return headers.len + 1;
}

static char *put(char *to, Span text) {
    size_t len = text.data ? strnlen((const char *)text.data, text.len) : 0;

    if (len > 0)
        memcpy(to, text.data, len);
    to[len] = '\0';
    return to + len + 1;
}

HeaderText *header_text_init(void *memory, Span headers) {
    HeaderText *text = memory;
    char *at = text->pairs;
    uint32_t left;
    Reader pairs = pairs_of(headers, &left);
    Span key;

    while (pairs_next(&pairs, &left, &key)) {
        Span value = reader_str(&pairs);

        if (pairs.problem || key.len == 0 || key.data[0] == '\0')
            continue;
        at = put(at, key);
        at = put(at, value);
    }
    *at = '\0';
    return text;
}

HeaderText *header_text_new(Span headers) {
    void *memory = malloc(header_text_size(headers));

    return memory ? header_text_init(memory, headers) : NULL;
}

const char *header_text_find(const HeaderText *text, const char *name) {
    const char *at = text->pairs;

    while (*at) {
        const char *value = at + strlen(at) + 1;

        if (strcmp(at, name) == 0)
            return value;
        at = value + strlen(value) + 1;
    }
    return NULL;
}

const char *header_text_after(const HeaderText *text, const char *name) {
    const char *at = text->pairs;

    if (name) {
        const char *value = name + strlen(name) + 1;

        at = value + strlen(value) + 1;
    }
    return *at ? at : NULL;
}
