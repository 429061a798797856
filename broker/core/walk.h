/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Walks that last several turns over a table of the broker: of sessions, services, topics, patterns
 * or queues. Before an element is freed, walks_pass() moves the walks that stand at it.
 */

#include <utlist.h>

typedef struct TableWalk {
    struct TableWalk *prev, *next; /* of broker->walks */
    void *at;                      /* the element that comes next; NULL: the end */
} TableWalk;

static inline void walks_pass(TableWalk *walks, const void *element, void *following) {
    TableWalk *walk;

    DL_FOREACH(walks, walk) {
        if (walk->at == element)
            walk->at = following;
    }
}
