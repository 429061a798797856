/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Source texts and places in them. */

#include <stddef.h>
#include <stdint.h>

typedef struct Source {
    const char *path; /* the path as the user wrote it */
    const char *text;
    size_t len;
    unsigned order; /* reports are in the order in which files were read */
} Source;

/* Size in bytes of a byte order mark at the beginning, or 0. */
size_t source_mark(const Source *source);

/* A range of bytes in a source. */
typedef struct Place {
    const Source *source; /* NULL: no place */
    uint32_t at, len;
} Place;

/* Finds line and column, both from 1. The column counts bytes, like the editors that jump to it. */
void place_find(Place place, unsigned *line, unsigned *column);
