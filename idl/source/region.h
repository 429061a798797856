/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Memory of one run of the compiler. Pieces are taken one by one and freed together. If memory runs
 * out, the program ends with a message.
 */

#include <stddef.h>

typedef struct Region {
    struct RegionChunk *chunks;
    char *at, *end;
} Region;

void *region_alloc(Region *region, size_t size); /* zeroed */
char *region_text(Region *region, const char *text, size_t len);
char *region_printf(Region *region, const char *format, ...)
    __attribute__((format(printf, 2, 3), nonnull(2)));
void region_deinit(Region *region);

#define region_new(region, type) ((type *)region_alloc((region), sizeof(type)))
