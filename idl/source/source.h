/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Source texts, and places in them. */

#include <stddef.h>
#include <stdint.h>

typedef struct Source {
    const char *path; /* as the user would call it */
    const char *text;
    size_t len;
    unsigned order; /* files are reported on in the order they were read */
} Source;

/* Bytes of the byte order mark that some editors put in front. */
size_t source_mark(const Source *source);

/* Some characters of a source. */
typedef struct Place {
    const Source *source; /* NULL: nowhere */
    uint32_t at, len;
} Place;

/* Both from 1; the column in bytes, as editors count that jump to it. */
void place_find(Place place, unsigned *line, unsigned *column);
