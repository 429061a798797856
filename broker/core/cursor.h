/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Walks that last several turns over a table of the broker: of sessions, services, topics, patterns
 * or queues. Before an element is freed, cursors_pass() moves the walks that stand at it.
 */

#include <utlist.h>

typedef struct Cursor {
    struct Cursor *prev, *next; /* of broker->cursors */
    void *at;                   /* the element that comes next; NULL: the end */
} Cursor;

static inline void cursors_pass(Cursor *cursors, const void *element, void *following) {
    Cursor *cursor;

    DL_FOREACH(cursors, cursor) {
        if (cursor->at == element)
            cursor->at = following;
    }
}
