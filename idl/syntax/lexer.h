#pragma once

/* Interface files to tokens. Comments are kept: documentation is made of some, and the formatter
 * loses none. */

#include "idl/source/report.h"

typedef enum TokenKind {
    TOKEN_END,
    TOKEN_WORD, /* keywords too: nearly all may be names */
    TOKEN_INT,
    TOKEN_DOUBLE,
    TOKEN_STRING, /* text is what it stands for, without quotes and escapes */
    TOKEN_MARK,   /* one character: { } ( ) [ ] < > , ; : = & * */
} TokenKind;

typedef struct Token {
    TokenKind kind;
    Place place;
    const char *text; /* NUL-terminated */
    size_t len;       /* of text: a string may hold anything but a NUL */
    int64_t number;
    double real;
    const char *doc; /* the doc comment in front, cleaned; NULL: none */
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
    bool refused_encoding, warned_of_encoding; /* once per file */
} Lexer;

void lexer_init(Lexer *lexer, Region *region, Reports *reports, const Source *source);

/* The next token; after the last one TOKEN_END, for ever. What is no token is reported and skipped.
 */
Token lexer_next(Lexer *lexer);
