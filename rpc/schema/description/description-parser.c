/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the parts of a description. See description-parser.h. */

#include "rpc/schema/description/description-parser.h"

#include "base/text.h"
#include "rpc/schema/description/description.h"

bool parser_refuse(DescriptionParser *p, const char *text) {
    value_error_set(&p->error, NULL, "%s", text);
    return false;
}

bool parser_no_memory(DescriptionParser *p) {
    value_error_set(&p->error, "ferry.OutOfMemory", "out of memory");
    return false;
}

void *parser_take(DescriptionParser *p, size_t size) {
    void *piece = arena_take(p->arena, size);

    if (!piece)
        parser_no_memory(p);
    else
        memset(piece, 0, size);
    return piece;
}

void *parser_take_array(DescriptionParser *p, size_t n, size_t size) {
    return parser_take(p, n * size); /* the bytes of the description limit n */
}

/* Turns an error of the reader into one of the parser. Returns false after an error. */
bool parser_good(DescriptionParser *p, const Reader *reader) {
    return !reader->problem || parser_refuse(p, reader->problem);
}

const char *parser_text(DescriptionParser *p, Reader *reader) {
    Span span = reader_str(reader);
    char *text;

    if (!parser_good(p, reader))
        return NULL;
    if (memchr(span.data, 0, span.len) || !text_is_utf8(span.data, span.len)) {
        parser_refuse(p, "a text is not UTF-8");
        return NULL;
    }
    text = parser_take(p, span.len + 1);
    if (text && span.len > 0)
        memcpy(text, span.data, span.len);
    return text;
}

/* True for an identifier; with dots, for identifiers that dots connect. */
static bool is_identifier(const char *text, bool dots) {
    size_t len = strlen(text);
    bool start = true;

    if (len == 0 || len > DESCRIPTION_NAMES_MAX)
        return false;
    for (const char *c = text; *c; c++) {
        bool letter = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || *c == '_';

        if (*c == '.' && dots && !start)
            start = true;
        else if (letter || (!start && *c >= '0' && *c <= '9'))
            start = false;
        else
            return false;
    }
    return !start;
}

const char *parser_name(DescriptionParser *p, Reader *reader, bool dots) {
    const char *text = parser_text(p, reader);

    if (text && !is_identifier(text, dots)) {
        parser_refuse(p, "a name is invalid");
        return NULL;
    }
    return text;
}

/* ---- maps ---- */

MapWalk parser_walk(DescriptionParser *p, Span map) {
    MapWalk walk = {reader_of(map.data, map.len), 0};

    walk.left = reader_map(&walk.reader);
    parser_good(p, &walk.reader);
    return walk;
}

bool parser_next(DescriptionParser *p, MapWalk *walk, Span *key) {
    if (p->error.type || walk->left == 0)
        return false;
    walk->left--;
    *key = reader_str(&walk->reader);
    return parser_good(p, &walk->reader);
}

Span parser_value(DescriptionParser *p, Reader *reader) {
    Span span = reader_value(reader);

    parser_good(p, reader);
    return span;
}

/* ---- notes ---- */

static bool read_annotations(DescriptionParser *p, Reader *reader, ferry_notes *notes) {
    uint32_t n = reader_array(reader);
    ferry_annotation *annotations;

    if (!parser_good(p, reader))
        return false;
    annotations = parser_take_array(p, n, sizeof(*annotations));
    if (!annotations)
        return false;
    for (uint32_t i = 0; i < n && !p->error.type; i++) {
        if (reader_array(reader) != 2)
            return parser_refuse(p, "an annotation is a name and a value");
        annotations[i].name = parser_name(p, reader, true);
        annotations[i].value = annotations[i].name ? parser_text(p, reader) : NULL;
    }
    notes->n_annotations = n;
    notes->annotations = annotations;
    return !p->error.type;
}

/* Reads the value if the key belongs to the notes. Returns false for other keys. */
bool parser_note(DescriptionParser *p, Span key, Reader *reader, const ferry_notes **ret) {
    ferry_notes *notes;
    bool doc = span_is(key, "doc");

    if (!doc && !span_is(key, "annotations"))
        return false;
    notes = *ret ? (ferry_notes *)(uintptr_t)*ret : parser_take(p, sizeof(*notes));
    if (!notes)
        return true;
    *ret = notes;
    if (doc)
        notes->doc = parser_text(p, reader);
    else
        read_annotations(p, reader, notes);
    return true;
}

bool parser_flag(DescriptionParser *p, Reader *reader, bool *ret) {
    *ret = reader_bool(reader);
    return parser_good(p, reader);
}
