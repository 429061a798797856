/* SPDX-License-Identifier: Apache-2.0 */
/* Memory of one run. See region.h. */

#include "idl/source/region.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK = 64 * 1024 };

typedef struct RegionChunk {
    struct RegionChunk *next;
    max_align_t memory[];
} RegionChunk;

void *region_alloc(Region *region, size_t size) {
    size_t whole = (size + sizeof(max_align_t) - 1) / sizeof(max_align_t) * sizeof(max_align_t);
    size_t room = whole > CHUNK ? whole : CHUNK;
    RegionChunk *chunk;
    void *piece;

    if (whole > (size_t)(region->end - region->at) || !region->at) {
        chunk = whole < size || room > SIZE_MAX / 2 ? NULL : calloc(1, sizeof(*chunk) + room);
        if (!chunk) {
            fputs("ferry-idl: out of memory\n", stderr);
            exit(EXIT_FAILURE);
        }
        chunk->next = region->chunks;
        region->chunks = chunk;
        region->at = (char *)chunk->memory;
        region->end = region->at + room;
    }
    piece = region->at;
    region->at += whole;
    return piece;
}

char *region_text(Region *region, const char *text, size_t len) {
    char *copy = region_alloc(region, len + 1);

    if (len > 0)
        memcpy(copy, text, len);
    return copy;
}

char *region_printf(Region *region, const char *format, ...) {
    va_list args, again;
    char *text;
    int len;

    va_start(args, format);
    va_copy(again, args);
    len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    text = region_alloc(region, (size_t)len + 1);
    vsnprintf(text, (size_t)len + 1, format, again);
    va_end(again);
    return text;
}

void region_deinit(Region *region) {
    while (region->chunks) {
        RegionChunk *next = region->chunks->next;

        free(region->chunks);
        region->chunks = next;
    }
    *region = (Region){0};
}
