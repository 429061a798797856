/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Splits interface files into tokens. Comments are kept for documentation and for the formatter. */

#include "idl/source/report.h"

typedef enum TokenKind {
    TOKEN_END,
    TOKEN_WORD, /* also keywords, because most of them can be names */
    TOKEN_INT,
    TOKEN_DOUBLE,
    TOKEN_STRING, /* text is without quotes and escapes */
    TOKEN_MARK,   /* one character: { } ( ) [ ] < > , ; : = & * */
} TokenKind;

typedef struct Token {
    TokenKind kind;
    Place place;
    const char *text; /* NUL-terminated */
    size_t len;       /* length of text; a string has no NUL */
    int64_t number;
    double real;
    const char *doc; /* the cleaned doc comment before it, or NULL */
} Token;

typedef struct Comment {
    struct Comment *next;
    Place place;
} Comment;

typedef struct Lexer {
    Region *region;
    Reports *reports;
    const Source *source;
    size_t at;
    Comment *first_comment, **last_comment;
    const char *doc; /* of the file: the first of two doc comments at its top */
    bool refused_encoding, warned_of_encoding; /* each is reported once per file */
} Lexer;

void lexer_init(Lexer *lexer, Region *region, Reports *reports, const Source *source);

/* Returns the next token; after the last one always TOKEN_END. Reports and skips characters that
 * cannot begin a token. */
Token lexer_next(Lexer *lexer);
