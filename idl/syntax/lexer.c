/* SPDX-License-Identifier: Apache-2.0 */
/* Splits interface files into tokens. See lexer.h. */

#include "idl/syntax/lexer.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

void lexer_init(Lexer *lexer, Region *region, Reports *reports, const Source *source) {
    *lexer = (Lexer){.region = region, .reports = reports, .source = source};
    lexer->last_comment = &lexer->first_comment;
    lexer->at = source_mark(source);
}

static char peek(const Lexer *lexer, size_t ahead) {
    size_t at = lexer->at + ahead;

    return (char)(at < lexer->source->len ? lexer->source->text[at] : '\0');
}

static Place place_from(const Lexer *lexer, size_t start) {
    return (Place){lexer->source, (uint32_t)start, (uint32_t)(lexer->at - start)};
}

static bool is_word_start(char c) {
    return isalpha((unsigned char)c) || c == '_';
}

static bool is_word_char(char c) {
    return isalnum((unsigned char)c) || c == '_';
}

/* ---- encoding ---- */

/* A byte and the continuation bytes after it. */
static size_t char_len(const char *p, const char *end) {
    size_t n = 1;

    while (n < 4 && p + n < end && ((unsigned char)p[n] & 0xC0) == 0x80)
        n++;
    return n;
}

/* The first byte that is not part of a UTF-8 character, or NULL. The search takes whole lines
 * first, and then the characters of the first line that is not UTF-8. */
static const char *first_not_utf8(const char *text, size_t len) {
    const char *p = text, *end = text + len;
    size_t n;

    for (; p < end; p += n) {
        const char *line_end = memchr(p, '\n', (size_t)(end - p));

        n = (size_t)((line_end ? line_end + 1 : end) - p);
        if (!text_is_utf8(p, n))
            break;
    }
    for (; p < end; p += n) {
        n = char_len(p, end);
        if (!text_is_utf8(p, n))
            return p;
    }
    return NULL;
}

/* Text outside of comments must be UTF-8. */
static void check_encoding(Lexer *lexer, size_t start) {
    const char *text = lexer->source->text + start, *bad;

    bad = lexer->refused_encoding ? NULL : first_not_utf8(text, lexer->at - start);
    if (!bad)
        return;
    lexer->refused_encoding = true;
    report_error(lexer->reports, ((Place){lexer->source, (uint32_t)(bad - lexer->source->text), 1}),
                 "save it as UTF-8", "the file is not UTF-8");
}

/* Only warn about comments: old files often have names in Latin-1 there. */
static void check_comment_encoding(Lexer *lexer, Place place) {
    const char *bad =
        lexer->warned_of_encoding ? NULL : first_not_utf8(place.source->text + place.at, place.len);

    if (!bad)
        return;
    lexer->warned_of_encoding = true;
    report(lexer->reports, SEVERITY_WARNING,
           ((Place){place.source, (uint32_t)(bad - place.source->text), 1}), "save it as UTF-8",
           "a comment is not UTF-8");
}

/* Returns the text with U+FFFD in place of each byte that is not UTF-8. */
static const char *as_utf8(Region *region, const char *text) {
    size_t len = strlen(text), n;
    char *copy, *to;

    if (text_is_utf8(text, len))
        return text;
    copy = to = region_alloc(region, 3 * len + 1);
    for (const char *end = text + len; text < end; text += n) {
        n = char_len(text, end);
        if (text_is_utf8(text, n)) {
            to = mempcpy(to, text, n);
        } else {
            to = mempcpy(to, "\xEF\xBF\xBD", 3);
            n = 1;
        }
    }
    return copy;
}

/* ---- comments ---- */

/* Skips blanks and a star at the start of a comment's line. */
static const char *after_margin(const char *p, const char *end) {
    while (p < end && (*p == ' ' || *p == '\t'))
        p++;
    if (p < end && *p == '*') {
        p++;
        if (p < end && *p == ' ')
            p++;
    }
    return p;
}

/* The text of a doc comment without stars, margin, and blank lines at both ends. */
static const char *clean_doc(Lexer *lexer, Place place) {
    const char *p = place.source->text + place.at + 3, *end = p + place.len - 5;
    char *text = region_alloc(lexer->region, place.len), *to = text;
    bool first = true;

    while (p <= end) {
        const char *line_end = memchr(p, '\n', (size_t)(end - p));
        const char *line, *trimmed;

        if (!line_end)
            line_end = end;
        line = first ? p : after_margin(p, line_end);
        while (first && line < line_end && (*line == ' ' || *line == '\t'))
            line++;
        trimmed = line_end;
        while (trimmed > line && isspace((unsigned char)trimmed[-1]))
            trimmed--;
        if (to > text || trimmed > line) {
            if (to > text)
                *to++ = '\n';
            memcpy(to, line, (size_t)(trimmed - line));
            to += trimmed - line;
        }
        first = false;
        p = line_end + 1;
    }
    while (to > text && to[-1] == '\n')
        to--;
    *to = '\0';
    return to > text ? as_utf8(lexer->region, text) : NULL;
}

static void add_comment(Lexer *lexer, size_t start, const char **doc) {
    Comment *comment = region_new(lexer->region, Comment);

    comment->place = place_from(lexer, start);
    *lexer->last_comment = comment;
    lexer->last_comment = &comment->next;
    check_comment_encoding(lexer, comment->place);
    /* An empty comment and a line of stars are not documentation. */
    if (comment->place.len > 4 && memcmp(lexer->source->text + start, "/**", 3) == 0 &&
        lexer->source->text[start + 3] != '*') {
        const char *text = clean_doc(lexer, comment->place);

        if (text)
            *doc = text;
    }
}

static void skip_block_comment(Lexer *lexer, size_t start, const char **doc) {
    lexer->at += 2;
    while (lexer->at < lexer->source->len && !(peek(lexer, 0) == '*' && peek(lexer, 1) == '/'))
        lexer->at++;
    if (lexer->at >= lexer->source->len) {
        report_error(lexer->reports, ((Place){lexer->source, (uint32_t)start, 2}), "end it with */",
                     "the comment never ends");
        return;
    }
    lexer->at += 2;
    add_comment(lexer, start, doc);
}

/* Skips blanks and comments. Returns the last doc comment. At the top of a file, a doc comment
 * before another one documents the file. */
static const char *skip_blanks(Lexer *lexer) {
    bool at_top = lexer->at == source_mark(lexer->source);
    const char *doc = NULL;

    while (lexer->at < lexer->source->len) {
        size_t start = lexer->at;
        char c = peek(lexer, 0);

        if (c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v') {
            lexer->at++;
        } else if (c == '#' || (c == '/' && peek(lexer, 1) == '/')) {
            while (lexer->at < lexer->source->len && peek(lexer, 0) != '\n')
                lexer->at++;
            if (lexer->source->text[lexer->at - 1] == '\r')
                lexer->at--;
            add_comment(lexer, start, &doc);
        } else if (c == '/' && peek(lexer, 1) == '*') {
            const char *before = doc;

            skip_block_comment(lexer, start, &doc);
            if (at_top && before && doc != before && !lexer->doc)
                lexer->doc = before;
        } else {
            break;
        }
    }
    return doc;
}

/* ---- numbers ---- */

static void read_hex(Lexer *lexer, Token *token, size_t start) {
    uint64_t value = 0, limit = peek(lexer, 0) == '-' ? UINT64_C(1) << 63 : INT64_MAX;
    bool negative = peek(lexer, 0) == '-', over = false;
    size_t digits = 0;

    lexer->at += (peek(lexer, 0) == '-' || peek(lexer, 0) == '+') ? 3 : 2;
    for (; isxdigit((unsigned char)peek(lexer, 0)); lexer->at++, digits++) {
        char c = (char)tolower((unsigned char)peek(lexer, 0));

        over = over || value >> 60 != 0;
        value = value << 4 | (uint64_t)(isdigit((unsigned char)c) ? c - '0' : c - 'a' + 10);
    }
    token->kind = TOKEN_INT;
    token->place = place_from(lexer, start);
    if (digits == 0)
        report_error(lexer->reports, token->place, NULL, "a hexadecimal number needs digits");
    else if (over || value > limit)
        report_error(lexer->reports, token->place, NULL, "the number does not fit into 64 bits");
    else
        token->number = negative ? (int64_t)(0 - value) : (int64_t)value;
}

/* Skips digits, fraction and exponent. Returns true for a double. */
static bool scan_decimal(Lexer *lexer) {
    bool real = false;
    size_t ahead = 0;

    if (peek(lexer, 0) == '-' || peek(lexer, 0) == '+')
        lexer->at++;
    while (isdigit((unsigned char)peek(lexer, 0)))
        lexer->at++;
    if (peek(lexer, 0) == '.' && isdigit((unsigned char)peek(lexer, 1))) {
        real = true;
        lexer->at++;
        while (isdigit((unsigned char)peek(lexer, 0)))
            lexer->at++;
    }
    if (peek(lexer, 0) == 'e' || peek(lexer, 0) == 'E') {
        ahead = 1 + (peek(lexer, 1) == '-' || peek(lexer, 1) == '+');
        if (isdigit((unsigned char)peek(lexer, ahead))) {
            real = true;
            lexer->at += ahead;
            while (isdigit((unsigned char)peek(lexer, 0)))
                lexer->at++;
        }
    }
    return real;
}

static void read_number(Lexer *lexer, Token *token, size_t start) {
    bool real = scan_decimal(lexer);
    char *text;

    token->place = place_from(lexer, start);
    text = region_text(lexer->region, lexer->source->text + start, token->place.len);
    token->text = text;
    errno = 0;
    if (real) {
        token->kind = TOKEN_DOUBLE;
        token->real = strtod(text, NULL);
        if (!isfinite(token->real))
            report_error(lexer->reports, token->place, NULL,
                         "the number does not fit into a double");
    } else {
        token->kind = TOKEN_INT;
        token->number = strtoll(text, NULL, 10);
        if (errno == ERANGE)
            report_error(lexer->reports, token->place, NULL,
                         "the number does not fit into 64 bits");
    }
    if (is_word_char(peek(lexer, 0)))
        report_error(lexer->reports, token->place, NULL, "letters follow the number");
    while (is_word_char(peek(lexer, 0)))
        lexer->at++;
}

/* ---- strings and words ---- */

static char unescape(Lexer *lexer, char c) {
    switch (c) {
    case 'r':
        return '\r';
    case 'n':
        return '\n';
    case 't':
        return '\t';
    case '"':
    case '\'':
    case '\\':
        return c;
    default:
        report_error(lexer->reports, ((Place){lexer->source, (uint32_t)lexer->at, 2}),
                     "the escapes are \\r \\n \\t \\\" \\' \\\\", "unknown escape '\\%c'",
                     isprint((unsigned char)c) ? c : '?');
        return (char)(c ? c : '?');
    }
}

static void read_string(Lexer *lexer, Token *token, size_t start) {
    char quote = peek(lexer, 0);
    size_t end = start + 1;
    char *text, *to;

    while (end < lexer->source->len && lexer->source->text[end] != quote &&
           lexer->source->text[end] != '\n')
        end += lexer->source->text[end] == '\\' && end + 1 < lexer->source->len &&
                       lexer->source->text[end + 1] != '\n'
                   ? 2
                   : 1;
    text = to = region_alloc(lexer->region, end - start + 1);
    lexer->at++;
    while (lexer->at < end) {
        char c = peek(lexer, 0);

        if (c == '\\' && lexer->at + 1 < end) {
            c = unescape(lexer, peek(lexer, 1));
            lexer->at++;
        }
        lexer->at++;
        *to++ = c;
    }
    token->kind = TOKEN_STRING;
    token->text = text;
    token->len = (size_t)(to - text);
    if (peek(lexer, 0) == quote && lexer->at < lexer->source->len)
        lexer->at++;
    else
        report_error(lexer->reports, ((Place){lexer->source, (uint32_t)start, 1}),
                     "a line break in it is written \\n", "the string never ends");
    check_encoding(lexer, start);
    token->place = place_from(lexer, start);
}

static void read_word(Lexer *lexer, Token *token, size_t start) {
    while (is_word_char(peek(lexer, 0)) || (peek(lexer, 0) == '.' && is_word_char(peek(lexer, 1))))
        lexer->at++;
    token->kind = TOKEN_WORD;
    token->place = place_from(lexer, start);
}

/* Reports and skips a character that cannot begin a token. */
static void skip_junk(Lexer *lexer, size_t start) {
    char shown[TEXT_ESCAPED_MAX];

    do
        lexer->at++;
    while (lexer->at < lexer->source->len && ((unsigned char)peek(lexer, 0) & 0xC0) == 0x80);
    check_encoding(lexer, start);
    if (text_is_utf8(lexer->source->text + start, lexer->at - start))
        report_error(lexer->reports, place_from(lexer, start), NULL, "unexpected character '%s'",
                     text_escape(shown, lexer->source->text + start, lexer->at - start));
}

Token lexer_next(Lexer *lexer) {
    Token token = {.kind = TOKEN_END};

    for (;;) {
        const char *doc = skip_blanks(lexer);
        size_t start = lexer->at;
        char c = peek(lexer, 0), next = peek(lexer, 1);
        bool sign = c == '-' || c == '+';

        if (doc)
            token.doc = doc;
        if (lexer->at >= lexer->source->len) {
            token.place = (Place){lexer->source, (uint32_t)lexer->source->len, 0};
            token.text = "the end of the file";
            return token;
        }
        if (is_word_start(c)) {
            read_word(lexer, &token, start);
        } else if ((sign ? next : c) == '0' && (peek(lexer, sign + 1u) | 0x20) == 'x') {
            read_hex(lexer, &token, start);
        } else if (isdigit((unsigned char)c) || (c == '.' && isdigit((unsigned char)next)) ||
                   (sign && (isdigit((unsigned char)next) ||
                             (next == '.' && isdigit((unsigned char)peek(lexer, 2)))))) {
            read_number(lexer, &token, start);
        } else if (c == '"' || c == '\'') {
            read_string(lexer, &token, start);
        } else if (c && strchr("{}()[]<>,;:=&*", c)) {
            lexer->at++;
            token.kind = TOKEN_MARK;
            token.place = place_from(lexer, start);
        } else {
            skip_junk(lexer, start);
            continue;
        }
        if (!token.text)
            token.text = region_text(lexer->region, lexer->source->text + start, token.place.len);
        if (token.kind != TOKEN_STRING)
            token.len = strlen(token.text);
        return token;
    }
}
