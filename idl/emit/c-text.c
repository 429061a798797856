/* SPDX-License-Identifier: Apache-2.0 */
/* Layout of generated C: wrapped lines, comments, string literals. See emit.h. */

#include <stdio.h>
#include <string.h>

#include "idl/emit/emit.h"

enum { COLUMNS = 100 };

void put_wrapped(Buffer *to, const char *head, const char *const *items, size_t n,
                 const char *tail) {
    const char *last_line = strrchr(head, '\n');
    size_t indent = strlen(last_line ? last_line + 1 : head), column = indent;
    size_t tail_len = strcspn(tail, "\n");

    /* Continuation lines are aligned under the bracket. */
    put(to, "%s", head);
    for (size_t i = 0; i < n; i++) {
        size_t need = strlen(items[i]) + (i + 1 < n ? 1 : tail_len);

        if (i > 0 && column + 1 + need > COLUMNS) {
            put(to, "\n%*s", (int)indent, "");
            column = indent;
        } else if (i > 0) {
            put(to, " ");
            column++;
        }
        put(to, "%s%s", items[i], i + 1 < n ? "," : "");
        column += strlen(items[i]) + 1;
    }
    put(to, "%s", tail);
}

/* Writes text of a comment. Splits characters that would begin or end a comment. */
static void put_comment_text(Buffer *to, const char *text, size_t len) {
    for (size_t i = 0; i < len; i++)
        put(to,
            i > 0 && ((text[i - 1] == '/' && text[i] == '*') ||
                      (text[i - 1] == '*' && text[i] == '/'))
                ? " %c"
                : "%c",
            text[i]);
}

void put_comment(Buffer *to, const char *indent, const char *text) {
    if (!text)
        return;
    put(to, "%s/*", indent);
    for (const char *line = text;;) {
        size_t len = strcspn(line, "\n");

        put(to, len > 0 ? " " : "");
        /* Long lines are broken at blanks. */
        while (strlen(indent) + len + 6 > COLUMNS) {
            size_t cut = COLUMNS - 6 - strlen(indent);

            while (cut > 0 && line[cut] != ' ')
                cut--;
            if (cut == 0)
                break;
            put_comment_text(to, line, cut);
            put(to, "\n%s * ", indent);
            line += cut + 1;
            len -= cut + 1;
        }
        put_comment_text(to, line, len);
        line += len;
        if (!*line++)
            break;
        put(to, "\n%s *", indent);
    }
    put(to, " */\n");
}

const char *c_string(Program *program, const char *text, size_t len) {
    char *quoted = region_alloc(&program->region, 4 * len + 3), *to = quoted;

    *to++ = '"';
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];

        if (c == '"' || c == '\\' || (c == '?' && i > 0 && text[i - 1] == '?'))
            *to++ = '\\';
        if (c == '\n' || c == '\t' || c == '\r') {
            *to++ = '\\';
            *to++ = (char)(c == '\n' ? 'n' : c == '\t' ? 't' : 'r');
        } else if (c < 0x20 || c == 0x7F) {
            to += sprintf(to, "\\%03o", c);
        } else {
            *to++ = (char)c;
        }
    }
    *to++ = '"';
    *to = '\0';
    return quoted;
}

void put_characters(Buffer *to, const char *text, size_t len) {
    size_t column = 0;

    put(to, "{");
    for (size_t i = 0; i <= len; i++) {
        unsigned char c = (unsigned char)(i < len ? text[i] : '\0');
        char shown[8];

        if (c < 0x20 || c >= 0x7F)
            snprintf(shown, sizeof(shown), "'\\x%02X'", c);
        else
            snprintf(shown, sizeof(shown), c == '\'' || c == '\\' ? "'\\%c'" : "'%c'", c);
        put(to, "%s%s%s", column == 0 ? "\n    " : " ", shown, i < len ? "," : "");
        column = column > 80 ? 0 : column + strlen(shown) + 2;
    }
    put(to, "\n}");
}
