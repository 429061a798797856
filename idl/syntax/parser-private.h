/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Functions that the parser's files share. After a syntax error they return false or NULL; the
 * error was reported. */

#include "idl/syntax/parser.h"

typedef struct Parser {
    Region *region;
    Reports *reports;
    File *file;
    Lexer lexer;
    Token token;  /* the next token */
    uint32_t end; /* end of the previous token */
    int depth;
} Parser;

/* ---- parser-tokens.c ---- */

void advance(Parser *parser);

bool is_mark(const Parser *parser, char mark);
bool is_word(const Parser *parser, const char *word);
bool is_definition_word(const Parser *parser); /* "struct", … */

/* Consumes the token if it matches. */
bool take_mark(Parser *parser, char mark);
bool take_word(Parser *parser, const char *word);
void take_separator(Parser *parser);

/* Reports that the next token is not the expected one. Returns false. */
bool expected(Parser *parser, const char *what, const char *hint);
bool expect_mark(Parser *parser, char mark);

/* A name without dots. */
bool expect_name(Parser *parser, const char *what, bool keyword_too, Name *ret);

const char *definition_hint(Parser *parser);

/* Skip to the next element or definition after an error. */
void skip_element(Parser *parser);
void skip_definition(Parser *parser);

/* ---- parse-type.c ---- */

Annotation *parse_annotations(Parser *parser); /* NULL without annotations */
Type *parse_type(Parser *parser);

/* ---- parse-value.c ---- */

Value *parse_value(Parser *parser);
