/* SPDX-License-Identifier: Apache-2.0 */

/* The ids of stored pushes: a sorted array that begins at an offset. See dedup-window.h. */

#include "broker/queues/dedup-window.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_CAP = 16 };

struct DedupWindow {
    uint64_t *total;
    uint64_t *ids; /* ascending from start to end */
    size_t start, end, cap;
};

DedupWindow *dedup_window_new(uint64_t *total) {
    DedupWindow *window = calloc(1, sizeof(*window));

    if (window)
        window->total = total;
    return window;
}

static void forget_all(DedupWindow *window) {
    *window->total -= window->cap * sizeof(*window->ids);
    free(window->ids);
    *window = (DedupWindow){.total = window->total};
}

DedupWindow *dedup_window_free(DedupWindow *window) {
    if (window)
        forget_all(window);
    free(window);
    return NULL;
}

size_t dedup_window_count(const DedupWindow *window) {
    return window->end - window->start;
}

static void to_front(DedupWindow *window) {
    size_t n = dedup_window_count(window);

    if (n > 0)
        memmove(window->ids, window->ids + window->start, n * sizeof(*window->ids));
    window->start = 0;
    window->end = n;
}

static int make_room(DedupWindow *window, size_t max) {
    size_t cap = window->cap ? window->cap * 2 : FIRST_CAP;
    uint64_t *ids;

    /* An array of twice the maximum needs one move to the front for every max appends. */
    if (cap > 2 * max)
        cap = 2 * max > FIRST_CAP ? 2 * max : FIRST_CAP;
    if (window->start > 0 && window->start >= window->cap / 2) {
        to_front(window);
        return 0;
    }
    if (cap <= window->cap) /* the configuration has lowered max */
        cap = window->cap + window->cap / 2;
    ids = realloc(window->ids, cap * sizeof(*ids));
    if (!ids)
        return -ENOMEM;
    *window->total += (cap - window->cap) * sizeof(*ids);
    window->ids = ids;
    window->cap = cap;
    return 0;
}

/* The index of id, or the index at which id would be inserted. */
static size_t place_of(const DedupWindow *window, uint64_t id) {
    size_t low = window->start, high = window->end;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (window->ids[middle] < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

int dedup_window_reserve(DedupWindow *window, size_t max) {
    return window->end < window->cap ? 0 : make_room(window, max);
}

int dedup_window_add(DedupWindow *window, uint64_t id, size_t max) {
    size_t at;
    int r = dedup_window_reserve(window, max);

    if (r < 0)
        return r;
    if (window->start == window->end || window->ids[window->end - 1] < id) {
        window->ids[window->end++] = id;
    } else {
        at = place_of(window, id);
        if (window->ids[at] == id)
            return 0;
        memmove(window->ids + at + 1, window->ids + at, (window->end - at) * sizeof(*window->ids));
        window->ids[at] = id;
        window->end++;
    }
    while (dedup_window_count(window) > max)
        window->start++;
    return 0;
}

bool dedup_window_has(const DedupWindow *window, uint64_t id) {
    size_t at = place_of(window, id);

    return at < window->end && window->ids[at] == id;
}

uint64_t dedup_window_last(const DedupWindow *window) {
    return window->start < window->end ? window->ids[window->end - 1] : 0;
}

uint64_t dedup_window_first(const DedupWindow *window) {
    return window->start < window->end ? window->ids[window->start] : 0;
}

void dedup_window_floor(DedupWindow *window, uint64_t floor) {
    window->start = place_of(window, floor);
    if (window->start == window->end)
        forget_all(window);
}
