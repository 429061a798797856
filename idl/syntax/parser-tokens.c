/* SPDX-License-Identifier: Apache-2.0 */
/* Token matching, and recovery after an error. See parser-private.h. */

#include <string.h>

#include "base/text.h"
#include "idl/syntax/parser-private.h"

static const char *const keywords[] = {
    "namespace", "include",   "cpp_include", "const",   "typedef",      "enum",         "struct",
    "union",     "exception", "service",     "extends", "throws",       "oneway",       "async",
    "void",      "bool",      "byte",        "i8",      "i16",          "i32",          "i64",
    "double",    "string",    "binary",      "uuid",    "map",          "list",         "set",
    "required",  "optional",  "cpp_type",    "xsd_all", "xsd_optional", "xsd_nillable", "xsd_attrs",
    "true",      "false",
};

bool is_keyword(const char *word) {
    for (size_t i = 0; i < sizeof(keywords) / sizeof(*keywords); i++)
        if (strcmp(word, keywords[i]) == 0)
            return true;
    return false;
}

void advance(Parser *parser) {
    parser->end = parser->token.place.at + parser->token.place.len;
    parser->token = lexer_next(&parser->lexer);
}

bool is_mark(const Parser *parser, char mark) {
    return parser->token.kind == TOKEN_MARK && parser->token.text[0] == mark;
}

bool is_word(const Parser *parser, const char *word) {
    return parser->token.kind == TOKEN_WORD && strcmp(parser->token.text, word) == 0;
}

bool take_mark(Parser *parser, char mark) {
    if (!is_mark(parser, mark))
        return false;
    advance(parser);
    return true;
}

bool take_word(Parser *parser, const char *word) {
    if (!is_word(parser, word))
        return false;
    advance(parser);
    return true;
}

bool expected(Parser *parser, const char *what, const char *hint) {
    char shown[TEXT_ESCAPED_MAX];
    const Token *token = &parser->token;

    text_escape(shown, token->text, strlen(token->text));
    report_error(parser->reports, token->place, hint,
                 token->kind == TOKEN_END      ? "expected %s before %s"
                 : token->kind == TOKEN_STRING ? "expected %s, got the string \"%s\""
                                               : "expected %s, got '%s'",
                 what, shown);
    return false;
}

bool expect_mark(Parser *parser, char mark) {
    char what[] = {'\'', mark, '\'', '\0'};

    return take_mark(parser, mark) || expected(parser, what, NULL);
}

void take_separator(Parser *parser) {
    if (!take_mark(parser, ','))
        take_mark(parser, ';');
}

/* These words may follow a type or a name, so they cannot be names. */
static bool is_never_a_name(const char *word) {
    return is_keyword(word) && (strncmp(word, "xsd_", 4) == 0 || strcmp(word, "cpp_type") == 0);
}

/* A name without dots. */
bool expect_name(Parser *parser, const char *what, bool keyword_too, Name *ret) {
    if (parser->token.kind != TOKEN_WORD)
        return expected(parser, what, NULL);
    *ret = (Name){parser->token.text, parser->token.place};
    if (strchr(ret->text, '.'))
        report_error(parser->reports, ret->place, NULL, "a declared name has no dots");
    else if (is_never_a_name(ret->text) || (!keyword_too && is_keyword(ret->text)))
        report_error(parser->reports, ret->place, NULL, "'%s' is a keyword", ret->text);
    advance(parser);
    return true;
}

static const char *const definition_words[] = {"const",   "typedef",    "enum",    "struct",
                                               "union",   "exception",  "service", "namespace",
                                               "include", "cpp_include"};

enum { N_DEFINITION_WORDS = sizeof(definition_words) / sizeof(*definition_words) };

bool is_definition_word(const Parser *parser) {
    for (size_t i = 0; i < N_DEFINITION_WORDS; i++)
        if (is_word(parser, definition_words[i]))
            return true;
    return false;
}

const char *definition_hint(Parser *parser) {
    const Token *token = &parser->token;
    const char *nearest = token->kind == TOKEN_WORD
                              ? text_nearest(token->text, definition_words, N_DEFINITION_WORDS)
                              : NULL;

    if (!nearest)
        return "one of: include, namespace, const, typedef, enum, struct, union, exception, "
               "service";
    return region_printf(parser->region, "did you mean '%s'?", nearest);
}

/*
 * After an error inside brackets, skips to the next element: past a separator, to the closing
 * bracket, or to the start of a line, because an element usually has its own line.
 */
void skip_element(Parser *parser) {
    int depth = 0;

    while (parser->token.kind != TOKEN_END) {
        if (depth == 0 && (is_mark(parser, '}') || is_mark(parser, ')')))
            return;
        if (depth == 0 && (take_mark(parser, ',') || take_mark(parser, ';')))
            return;
        if (is_mark(parser, '{') || is_mark(parser, '(') || is_mark(parser, '['))
            depth++;
        if (depth > 0 && (is_mark(parser, '}') || is_mark(parser, ')') || is_mark(parser, ']')))
            depth--;
        advance(parser);
        if (depth == 0 && parser->token.kind != TOKEN_END &&
            memchr(parser->file->source.text + parser->end, '\n',
                   parser->token.place.at - parser->end))
            return;
    }
}

/* After an error outside of brackets, skips to the next definition: to a keyword that begins one,
 * past the closing bracket of this one, or to a word at the start of a line. */
void skip_definition(Parser *parser) {
    const char *text = parser->file->source.text;
    int depth = 0;

    while (parser->token.kind != TOKEN_END && (depth > 0 || !is_definition_word(parser))) {
        if (is_mark(parser, '{'))
            depth++;
        if (is_mark(parser, '}') && depth-- <= 1) {
            advance(parser);
            return;
        }
        advance(parser);
        if (depth == 0 && parser->token.kind == TOKEN_WORD && parser->token.place.at > 0 &&
            text[parser->token.place.at - 1] == '\n')
            return;
    }
}
