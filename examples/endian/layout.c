/* SPDX-License-Identifier: Apache-2.0 */
/* Formats of struct. See layout.h. */

#include "layout.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Sizes in the standard orders, and native ones. A gap has no place. */
static const struct {
    char code;
    Kind kind;
    unsigned char size, native;
} codes[] = {
    {'b', KIND_SIGNED, 1, 1},
    {'B', KIND_UNSIGNED, 1, 1},
    {'h', KIND_SIGNED, 2, 2},
    {'H', KIND_UNSIGNED, 2, 2},
    {'i', KIND_SIGNED, 4, 4},
    {'I', KIND_UNSIGNED, 4, 4},
    {'l', KIND_SIGNED, 4, sizeof(long)},
    {'L', KIND_UNSIGNED, 4, sizeof(long)},
    {'q', KIND_SIGNED, 8, 8},
    {'Q', KIND_UNSIGNED, 8, 8},
    {'f', KIND_REAL, 4, 4},
    {'d', KIND_REAL, 8, 8},
    {'?', KIND_BOOL, 1, 1},
    {'s', KIND_OCTETS, 1, 1},
    {'c', KIND_OCTETS, 1, 1},
    {'x', KIND_OCTETS, 1, 1},
};

enum { N_CODES = sizeof(codes) / sizeof(codes[0]) };

static bool machine_is_big(void) {
    return *(const unsigned char *)&(uint16_t){1} == 0;
}

static int refuse(Layout *layout, size_t position, const char *reason) {
    layout->position = position;
    layout->reason = reason;
    return LAYOUT_REFUSED;
}

static int add(Layout *layout, char code, Kind kind, size_t size) {
    if (layout->n % 64 == 0) {
        Place *larger = realloc(layout->places, (layout->n + 64) * sizeof(*larger));

        if (!larger)
            return -ENOMEM;
        layout->places = larger;
    }
    layout->places[layout->n++] = (Place){code, kind, layout->size, size};
    layout->size += size;
    return 0;
}

/* One code with its count. */
static int add_many(Layout *layout, char code, size_t count, bool native, size_t position) {
    size_t i = 0, size;
    int r = 0;

    while (i < N_CODES && codes[i].code != code)
        i++;
    if (i == N_CODES)
        return refuse(layout, position, "there is no such code");
    size = native ? codes[i].native : codes[i].size;
    if (native)
        layout->size = (layout->size + size - 1) / size * size;
    if (layout->size + count * size > LAYOUT_MAX_SIZE)
        return refuse(layout, position, "more than 1048576 octets");
    if (code == 'x') {
        layout->size += count;
        return 0;
    }
    if (code == 's')
        return layout->n < LAYOUT_MAX_PLACES ? add(layout, code, KIND_OCTETS, count)
                                             : refuse(layout, position, "more than 10000 values");
    if (count > LAYOUT_MAX_PLACES - layout->n)
        return refuse(layout, position, "more than 10000 values");
    for (size_t k = 0; r == 0 && k < count; k++)
        r = add(layout, code, codes[i].kind, size);
    return r;
}

int layout_parse(Layout *layout, const char *format) {
    bool native = !*format || !strchr("<>!=", *format);
    const char *at = format + (*format && strchr("<>!=@", *format) != NULL);
    int r = 0;

    *layout = (Layout){.big = *format == '>' || *format == '!'};
    if (native || *format == '=')
        layout->big = machine_is_big();
    while (r == 0 && *at) {
        const char *digits = at;
        size_t count = 0;

        while (isdigit((unsigned char)*at) && count <= LAYOUT_MAX_SIZE)
            count = 10 * count + (size_t)(*at++ - '0');
        if (count > LAYOUT_MAX_SIZE)
            return refuse(layout, (size_t)(digits - format), "the count is too large");
        if (at > digits && !*at)
            return refuse(layout, (size_t)(digits - format), "a count without a code");
        if (isspace((unsigned char)*at) && at == digits) {
            at++;
            continue;
        }
        r = add_many(layout, *at, at > digits ? count : 1, native, (size_t)(at - format));
        at++;
    }
    return r;
}

void layout_deinit(Layout *layout) {
    free(layout->places);
    *layout = (Layout){0};
}

void layout_put(const Layout *layout, unsigned char *at, size_t size, uint64_t bits) {
    for (size_t i = 0; i < size; i++)
        at[layout->big ? size - 1 - i : i] = (unsigned char)(bits >> 8 * i);
}

uint64_t layout_get(const Layout *layout, const unsigned char *at, size_t size) {
    uint64_t bits = 0;

    for (size_t i = 0; i < size; i++)
        bits |= (uint64_t)at[layout->big ? size - 1 - i : i] << 8 * i;
    return bits;
}

int64_t layout_low(const Place *place) {
    return place->kind == KIND_SIGNED ? INT64_MIN >> (64 - 8 * place->size) : 0;
}

uint64_t layout_high(const Place *place) {
    uint64_t high = UINT64_MAX >> (64 - 8 * place->size);

    return place->kind == KIND_SIGNED ? high / 2 : high;
}
