/* SPDX-License-Identifier: Apache-2.0 */
/* The screen of `ferry top`, with ncurses. See screen.h. */

#include "clients/cli/top/screen.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef FERRY_WITH_NCURSES

#include <curses.h>

enum { CTRL_L = 12 };

static SCREEN *terminal;

int screen_open(void) {
    /* initscr() would end the process. */
    terminal = newterm(NULL, stdout, stdin);
    if (!terminal)
        return -EINVAL;
    raw(); /* Ctrl-C is a key: the terminal is restored in order */
    noecho();
    keypad(stdscr, TRUE);
    curs_set(0);
    return 0;
}

void screen_close(void) {
    endwin();
    delscreen(terminal);
}

int screen_key(int timeout_ms) {
    static const struct {
        int curses, key;
    } keys[] = {
        {ERR, SCREEN_NONE},
        {KEY_LEFT, SCREEN_LEFT},
        {KEY_RIGHT, SCREEN_RIGHT},
        {KEY_UP, SCREEN_UP},
        {KEY_DOWN, SCREEN_DOWN},
        {KEY_PPAGE, SCREEN_PAGE_UP},
        {KEY_NPAGE, SCREEN_PAGE_DOWN},
        {KEY_HOME, SCREEN_HOME},
        {KEY_END, SCREEN_END},
        {KEY_BACKSPACE, SCREEN_BACKSPACE},
        {127, SCREEN_BACKSPACE},
        {8, SCREEN_BACKSPACE},
        {KEY_ENTER, SCREEN_ENTER},
        {'\n', SCREEN_ENTER},
        {'\r', SCREEN_ENTER},
        {KEY_RESIZE, SCREEN_RESIZE},
    };
    int got;

    timeout(timeout_ms);
    got = getch();
    if (got == CTRL_L) { /* another program has written to the terminal: redraw */
        clearok(curscr, TRUE);
        return SCREEN_RESIZE;
    }
    for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
        if (keys[i].curses == got)
            return keys[i].key;
    return got;
}

/* Prints a line with this attribute, up to the edge of the screen. is_cut: the text may be too
 * long, and is cut. */
static void put_line(int y, attr_t attribute, const char *text, bool is_cut) {
    attrset(attribute);
    move(y, 0);
    clrtoeol();
    addnstr(text, (int)(is_cut && strlen(text) > (size_t)COLS ? (size_t)COLS : strlen(text)));
    if (attribute != A_NORMAL)
        mvchgat(y, 0, -1, attribute, 0, NULL);
    attrset(A_NORMAL);
}

/* Underlines the heading of the column by which the rows are sorted. */
static void mark_heading(int y, const ScreenPage *page, const char *line) {
    const char *heading = page->view->columns[page->sort_column].heading, *at = line;
    size_t len = strlen(heading);

    while ((at = strstr(at, heading))) {
        if ((at == line || at[-1] == ' ') && (at[len] == ' ' || at[len] == '\0')) {
            mvchgat(y, (int)(at - line), (int)len, A_BOLD | A_UNDERLINE, 0, NULL);
            return;
        }
        at += len;
    }
}

/* Returns the rows that fit on the screen. */
static json_t *cut(const json_t *rows, unsigned first, unsigned n) {
    json_t *part = json_array();

    for (size_t i = first; i < json_array_size(rows) && i < (size_t)first + n; i++)
        json_array_append(part, json_array_get(rows, i));
    return part;
}

static void draw_table(const ScreenPage *page, int top, unsigned n) {
    json_t *part = cut(page->rows, page->first, n);
    char *text = NULL, *line, *next;
    size_t len = 0;
    FILE *to = open_memstream(&text, &len);
    int y = top;

    if (to) {
        table_print(part, page->view->columns,
                    (TableStyle){.for_people = true, .width = (size_t)COLS}, to);
        fclose(to);
    }
    for (line = text; line && *line; line = next, y++) {
        next = line + strcspn(line, "\n");
        if (*next)
            *next++ = '\0';
        put_line(y, y == top && json_array_size(part) > 0 ? A_BOLD : A_NORMAL, line, false);
        if (y == top && json_array_size(part) > 0)
            mark_heading(y, page, line);
    }
    free(text);
    json_decref(part);
}

unsigned screen_draw(const ScreenPage *page) {
    unsigned n = LINES > 5 ? (unsigned)LINES - 4 : 1;

    erase();
    put_line(0, A_REVERSE, page->title, true);
    draw_table(page, 2, n);
    put_line(LINES - 1, page->problem ? A_REVERSE : A_DIM,
             page->problem ? page->problem : page->footer, true);
    refresh();
    return n;
}

#else

int screen_open(void) {
    return -ENOTSUP;
}

void screen_close(void) {
}

int screen_key(int timeout_ms) {
    return timeout_ms;
}

unsigned screen_draw(const ScreenPage *page) {
    return page->first;
}

#endif
