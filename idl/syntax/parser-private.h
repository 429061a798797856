#pragma once

/* What the parser's files share. What is expected and not there is reported, once, and makes the
 * function return false or NULL. */

#include "idl/syntax/parser.h"

typedef struct Parser {
    Region *region;
    Reports *reports;
    File *file;
    Lexer lexer;
    Token token;  /* to be read next */
    uint32_t end; /* of the token read last */
    int depth;
} Parser;

/* ---- parser-tokens.c ---- */

void advance(Parser *parser);

bool is_mark(const Parser *parser, char mark);
bool is_word(const Parser *parser, const char *word);
bool is_definition_word(const Parser *parser); /* "struct", … */

/* Reads it, if it is there. */
bool take_mark(Parser *parser, char mark);
bool take_word(Parser *parser, const char *word);
void take_separator(Parser *parser);

/* Reports that what is there is not this. Returns false. */
bool expected(Parser *parser, const char *what, const char *hint);
bool expect_mark(Parser *parser, char mark);

/* A name without dots. */
bool expect_name(Parser *parser, const char *what, bool keyword_too, Name *ret);

const char *definition_hint(Parser *parser);

/* After an error inside brackets, and outside. */
void skip_element(Parser *parser);
void skip_definition(Parser *parser);

/* ---- parse-type.c ---- */

Annotation *parse_annotations(Parser *parser); /* NULL: there are none */
Type *parse_type(Parser *parser);

/* ---- parse-value.c ---- */

Value *parse_value(Parser *parser);
