/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The screen of `ferry top`. Only screen.c uses ncurses. */

#include "clients/cli/top/views.h"

/* Keys that are not characters. */
enum {
    SCREEN_NONE = -1, /* no key came in time */
    SCREEN_LEFT = 1000,
    SCREEN_RIGHT,
    SCREEN_UP,
    SCREEN_DOWN,
    SCREEN_PAGE_UP,
    SCREEN_PAGE_DOWN,
    SCREEN_HOME,
    SCREEN_END,
    SCREEN_BACKSPACE,
    SCREEN_ENTER,
    SCREEN_RESIZE,
};

/* -ENOTSUP: built without ncurses; -EINVAL: the terminal ($TERM) is not known. */
int screen_open(void);
void screen_close(void);

/* Waits for a key. */
int screen_key(int timeout_ms);

typedef struct ScreenPage {
    const char *title, *footer;
    const char *problem; /* shown in place of the footer; NULL: no problem */
    const TopView *view;
    const json_t *rows; /* arranged */
    unsigned sort_column;
    unsigned first; /* row at the top */
} ScreenPage;

/* Returns the number of rows that fit. */
unsigned screen_draw(const ScreenPage *page);
