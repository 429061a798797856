/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The formats of Python's struct module: the code at each octet. Pure: no network. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LAYOUT_MAX_PLACES = 10000, LAYOUT_MAX_SIZE = 1024 * 1024 };

typedef enum Kind { KIND_SIGNED, KIND_UNSIGNED, KIND_BOOL, KIND_REAL, KIND_OCTETS } Kind;

/* The place of one value. */
typedef struct Place {
    char code;
    Kind kind;
    size_t offset, size;
} Place;

typedef struct Layout {
    bool big;
    size_t n, size; /* values, octets */
    Place *places;
    /* The reason of a refusal, and the position of the wrong character. */
    const char *reason;
    size_t position;
} Layout;

enum { LAYOUT_REFUSED = 1 };

/* 0, LAYOUT_REFUSED, or -ENOMEM. layout_deinit() in any case. */
int layout_parse(Layout *layout, const char *format);
void layout_deinit(Layout *layout);

/* A whole number's octets, as bits. */
void layout_put(const Layout *layout, unsigned char *at, size_t size, uint64_t bits);
uint64_t layout_get(const Layout *layout, const unsigned char *at, size_t size);

/* The range of a signed or unsigned place. */
int64_t layout_low(const Place *place);
uint64_t layout_high(const Place *place);
