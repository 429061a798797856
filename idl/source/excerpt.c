/* SPDX-License-Identifier: Apache-2.0 */
/* The line that a report is about. See excerpt.h. */

#include "idl/source/excerpt.h"

#include <string.h>

#include "base/text.h"

/* Most bytes that are shown of a long line, and most of them before the place. */
enum { PIECE_MAX = 100, BEFORE_MAX = 50 };

typedef struct Piece {
    const char *start, *end;
    bool cut_before, cut_behind;
    bool is_text; /* false: each byte is a column */
} Piece;

static size_t char_len(const Piece *piece, const char *p) {
    size_t n = 1;

    while (piece->is_text && p + n < piece->end && ((unsigned char)p[n] & 0xC0) == 0x80)
        n++;
    return n;
}

/* Columns of a character on a terminal: 2 for East Asian letters and emoji, 0 for combining
 * accents. */
static int char_width(const char *p, size_t len) {
    static const struct {
        uint32_t first, last;
        int width;
    } odd[] = {{0x300, 0x36F, 0},     {0x200B, 0x200F, 0},   {0xFE00, 0xFE0F, 0},
               {0x1100, 0x115F, 2},   {0x2E80, 0xA4CF, 2},   {0xAC00, 0xD7A3, 2},
               {0xF900, 0xFAFF, 2},   {0xFE30, 0xFE6F, 2},   {0xFF00, 0xFF60, 2},
               {0xFFE0, 0xFFE6, 2},   {0x1F300, 0x1F64F, 2}, {0x1F680, 0x1F6FF, 2},
               {0x1F900, 0x1FAFF, 2}, {0x20000, 0x3FFFD, 2}};
    uint32_t c = (unsigned char)*p & (len > 1 ? 0x7Fu >> len : 0x7Fu);

    for (size_t i = 1; i < len; i++)
        c = c << 6 | ((unsigned char)p[i] & 0x3F);
    for (size_t i = 0; i < sizeof(odd) / sizeof(*odd); i++)
        if (c >= odd[i].first && c <= odd[i].last)
            return odd[i].width;
    return 1;
}

/* The columns of a character as print_text() prints it: each escaped byte takes 4. */
static int shown_width(const Piece *piece, const char *p, size_t len) {
    if (!text_is_safe(p, len))
        return 4 * (int)len;
    return piece->is_text ? char_width(p, len) : 1;
}

static Piece piece_of(Place place) {
    const char *text = place.source->text, *end = text + place.source->len, *at = text + place.at;
    Piece piece = {.start = at};

    while (piece.start > text && piece.start[-1] != '\n')
        piece.start--;
    piece.end = memchr(at, '\n', (size_t)(end - at));
    if (!piece.end)
        piece.end = end;
    if (piece.end > piece.start && piece.end[-1] == '\r')
        piece.end--;
    if (piece.start == text && source_mark(place.source) <= place.at)
        piece.start += source_mark(place.source);
    piece.is_text = text_is_utf8(piece.start, (size_t)(piece.end - piece.start));
    if (piece.end - piece.start <= PIECE_MAX)
        return piece;
    if (at - piece.start > BEFORE_MAX) {
        piece.start = at - BEFORE_MAX;
        piece.cut_before = true;
    }
    while (piece.is_text && ((unsigned char)*piece.start & 0xC0) == 0x80)
        piece.start++;
    if (piece.end - piece.start > PIECE_MAX) {
        piece.end = piece.start + PIECE_MAX;
        piece.cut_behind = true;
    }
    while (piece.is_text && piece.cut_behind && ((unsigned char)*piece.end & 0xC0) == 0x80)
        piece.end--;
    return piece;
}

static void print_text(const Piece *piece, FILE *to) {
    fputs(piece->cut_before ? "..." : "", to);
    for (const char *p = piece->start; p < piece->end;) {
        size_t n = char_len(piece, p);

        if (text_is_safe(p, n))
            fwrite(p, 1, n, to);
        else
            text_print_escaped(to, p, n);
        p += n;
    }
    fputs(piece->cut_behind ? "...\n" : "\n", to);
}

/* The width of a tab differs between terminals, so the caret's line repeats the tabs. */
static void print_caret(const Piece *piece, Place place, FILE *to) {
    const char *at = place.source->text + place.at, *end = at + (place.len ? place.len : 1);
    const char *p = piece->start;

    fputs(piece->cut_before ? "   " : "", to);
    while (p < at && p < piece->end) {
        size_t n = char_len(piece, p);

        fprintf(to, "%*s", *p == '\t' ? 0 : shown_width(piece, p, n), "");
        if (*p == '\t')
            fputc('\t', to);
        p += n;
    }
    fputc('^', to);
    for (bool first = true; p < end && p < piece->end; first = false) {
        size_t n = char_len(piece, p);

        for (int i = first; i < shown_width(piece, p, n); i++)
            fputc('~', to);
        p += n;
    }
    fputc('\n', to);
}

void excerpt_print(Place place, FILE *to) {
    Piece piece = piece_of(place);
    unsigned line, column;

    place_find(place, &line, &column);
    fprintf(to, "%5u | ", line);
    print_text(&piece, to);
    fputs("      | ", to);
    print_caret(&piece, place, to);
}
