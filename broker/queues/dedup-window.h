/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The ids of the pushes that were stored for one client. A client that lost its connection sends
 * its unconfirmed pushes again: the broker looks their ids up here. Ids nearly always come in
 * ascending order, so adding an id is an append. The window has the max highest ids; its memory
 * grows with their number.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"

typedef struct DedupWindow DedupWindow;

/* The window adds the bytes of its ids to *total, which must live longer than the window. NULL: out
 * of memory. */
DedupWindow *dedup_window_new(uint64_t *total);
DedupWindow *dedup_window_free(DedupWindow *window);

/* Makes sure that the next dedup_window_add() succeeds. -ENOMEM. */
int dedup_window_reserve(DedupWindow *window, size_t max);
/* max: the number of ids to remember, at least 1. -ENOMEM. */
int dedup_window_add(DedupWindow *window, uint64_t id, size_t max);
bool dedup_window_has(const DedupWindow *window, uint64_t id);
uint64_t dedup_window_last(const DedupWindow *window);  /* the highest id; 0: the window is empty */
uint64_t dedup_window_first(const DedupWindow *window); /* the lowest one; 0: it is empty */

/* Forgets ids that are lower than floor. */
void dedup_window_floor(DedupWindow *window, uint64_t floor);
size_t dedup_window_count(const DedupWindow *window);

DEFINE_CLEANUP(DedupWindow *, dedup_window_free);
