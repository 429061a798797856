/* SPDX-License-Identifier: Apache-2.0 */
/* Parses types and annotations. See parser-private.h. */

#include <string.h>

#include "base/text.h"
#include "idl/syntax/parser-private.h"

/* ---- annotations ---- */

static bool parse_annotation(Parser *parser, Annotation *annotation) {
    if (parser->token.kind != TOKEN_WORD)
        return expected(parser, "the name of an annotation", NULL);
    annotation->name = (Name){parser->token.text, parser->token.place};
    annotation->value = "1";
    advance(parser);
    if (!take_mark(parser, '='))
        return true;
    if (parser->token.kind != TOKEN_STRING)
        return expected(parser, "a string", "an annotation's value is quoted: (timeout = \"2s\")");
    annotation->value = parser->token.text;
    annotation->value_place = parser->token.place;
    annotation->has_value = true;
    advance(parser);
    return true;
}

Annotation *parse_annotations(Parser *parser) {
    Annotation *first = NULL, **last = &first;

    if (!take_mark(parser, '('))
        return NULL;
    while (parser->token.kind != TOKEN_END && !is_mark(parser, ')') && !is_mark(parser, '}')) {
        Annotation *annotation = region_new(parser->region, Annotation);

        if (!parse_annotation(parser, annotation)) {
            skip_element(parser);
            continue;
        }
        *last = annotation;
        last = &annotation->next;
        take_separator(parser);
    }
    expect_mark(parser, ')');
    return first;
}

/* ---- types ---- */

static const struct {
    const char *word;
    TypeKind kind;
} type_words[] = {
    {"bool", TYPE_BOOL},     {"byte", TYPE_I8},       {"i8", TYPE_I8},
    {"i16", TYPE_I16},       {"i32", TYPE_I32},       {"i64", TYPE_I64},
    {"double", TYPE_DOUBLE}, {"string", TYPE_STRING}, {"binary", TYPE_BINARY},
    {"uuid", TYPE_UUID},     {"list", TYPE_LIST},     {"set", TYPE_SET},
    {"map", TYPE_MAP},       {"stream", TYPE_STREAM},
};

static TypeKind type_kind(const char *word) {
    for (size_t i = 0; i < sizeof(type_words) / sizeof(*type_words); i++)
        if (strcmp(word, type_words[i].word) == 0)
            return type_words[i].kind;
    return TYPE_NAMED;
}

static void parse_cpp_type(Parser *parser, Type *type) {
    if (!take_word(parser, "cpp_type"))
        return;
    if (parser->token.kind != TOKEN_STRING) {
        expected(parser, "a string", NULL);
        return;
    }
    type->cpp_type = parser->token.text;
    advance(parser);
}

static bool parse_inside(Parser *parser, Type *type) {
    parse_cpp_type(parser, type);
    if (!expect_mark(parser, '<'))
        return false;
    if (type->kind == TYPE_MAP) {
        type->key = parse_type(parser);
        if (!type->key || !expect_mark(parser, ','))
            return false;
    }
    type->item = parse_type(parser);
    if (!type->item || !expect_mark(parser, '>'))
        return false;
    parse_cpp_type(parser, type);
    return true;
}

Type *parse_type(Parser *parser) {
    Type *type = region_new(parser->region, Type);
    bool good = true;

    if (parser->token.kind != TOKEN_WORD) {
        expected(parser, "a type", NULL);
        return NULL;
    }
    if (parser->depth == PARSER_DEPTH_MAX) {
        report_error(parser->reports, parser->token.place, "name a part of it with typedef",
                     "types are nested deeper than %d levels", PARSER_DEPTH_MAX);
        return NULL;
    }
    type->name = parser->token.text;
    type->kind = type_kind(type->name);
    type->place = parser->token.place;
    if (type->kind == TYPE_NAMED && is_keyword(type->name)) {
        expected(parser, "a type", is_word(parser, "void") ? "only a result can be void" : NULL);
        return NULL;
    }
    advance(parser);
    /* Old files may have a type with the name "stream". */
    if (type->kind == TYPE_STREAM && !is_mark(parser, '<') && !is_word(parser, "cpp_type"))
        type->kind = TYPE_NAMED;
    if (type->kind == TYPE_NAMED && is_mark(parser, '<')) {
        static const char *const words[] = {"list", "set", "map", "stream"};
        const char *nearest = text_nearest(type->name, words, 4);

        report_error(parser->reports, type->place,
                     nearest ? region_printf(parser->region, "did you mean '%s'?", nearest)
                             : "container types: list<T>, set<T>, map<K, V> and stream<T>",
                     "'%s' is not a container type", type->name);
        return NULL;
    }
    parser->depth++;
    if (type->kind >= TYPE_LIST && type->kind <= TYPE_STREAM)
        good = parse_inside(parser, type);
    parser->depth--;
    if (!good)
        return NULL;
    type->place.len = parser->end - type->place.at;
    type->annotations = parse_annotations(parser);
    return type;
}
