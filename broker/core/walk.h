/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Walks over a table of the broker that last several turns: over sessions, services, topics,
 * patterns or queues. Before an element is freed, walks_pass() moves the walks that stand at it to
 * the next element.
 */

#include <utlist.h>

typedef struct TableWalk {
    struct TableWalk *prev, *next; /* in broker->walks */
    void *at;                      /* the next element; NULL: the end */
} TableWalk;

static inline void walks_pass(TableWalk *walks, const void *element, void *following) {
    TableWalk *walk;

    DL_FOREACH(walks, walk) {
        if (walk->at == element)
            walk->at = following;
    }
}
