/* SPDX-License-Identifier: Apache-2.0 */
/* Packs values into octets by a format, and unpacks them. */

#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "endian-api.h"
#include "layout.h"
#include "server.h"

/* ---- errors ---- */

static int bad_format(ferry_request *request, const Layout *layout) {
    char message[96];

    snprintf(message, sizeof(message), "character %zu of the format: %s", layout->position,
             layout->reason);
    return endian_throw_bad_format(
        request, &(endian_bad_format){(int32_t)layout->position, layout->reason, message});
}

static int out_of_range(ferry_request *request, const Place *place, size_t index) {
    char code[2] = {place->code, '\0'}, low[32], high[32], message[128];

    if (place->kind == KIND_REAL) {
        snprintf(low, sizeof(low), "%.9g", (double)-FLT_MAX);
        snprintf(high, sizeof(high), "%.9g", (double)FLT_MAX);
    } else {
        snprintf(low, sizeof(low), "%lld", (long long)layout_low(place));
        snprintf(high, sizeof(high), "%llu", (unsigned long long)layout_high(place));
    }
    snprintf(message, sizeof(message), "value %zu: '%s' format requires %s <= number <= %s", index,
             code, low, high);
    return endian_throw_out_of_range(
        request, &(endian_out_of_range){(int32_t)index, code, low, high, message});
}

static int bad_value(ferry_request *request, const Place *place, size_t index) {
    static const char *const wanted[] = {[KIND_SIGNED] = "a whole number",
                                         [KIND_UNSIGNED] = "a whole number",
                                         [KIND_BOOL] = "0 or 1",
                                         [KIND_REAL] = "a real number",
                                         [KIND_OCTETS] = "octets"};
    char code[2] = {place->code, '\0'}, message[96];

    snprintf(message, sizeof(message), "value %zu: '%s' format requires %s", index, code,
             wanted[place->kind]);
    return endian_throw_bad_value(request, &(endian_bad_value){(int32_t)index, code, message});
}

/* ---- packing ---- */

typedef enum Fit { FITS, NOT_IN_RANGE, NOT_OF_KIND } Fit;

static Fit pack_whole(const Layout *layout, const Place *place, const endian_value *value,
                      unsigned char *at) {
    uint64_t bits;
    char *end;

    if (value->which == ENDIAN_VALUE_WHOLE) {
        int64_t n = value->whole;

        if (n < layout_low(place) || (n > 0 && (uint64_t)n > layout_high(place)))
            return NOT_IN_RANGE;
        bits = (uint64_t)n;
    } else if (value->which == ENDIAN_VALUE_DIGITS) {
        if (value->digits[strspn(value->digits, "0123456789")] || !*value->digits)
            return NOT_OF_KIND;
        errno = 0;
        bits = strtoull(value->digits, &end, 10);
        if (errno != 0 || bits > layout_high(place))
            return NOT_IN_RANGE;
    } else {
        return NOT_OF_KIND;
    }
    layout_put(layout, at, place->size, bits);
    return FITS;
}

static Fit pack_real(const Layout *layout, const Place *place, const endian_value *value,
                     unsigned char *at) {
    double real = value->which == ENDIAN_VALUE_WHOLE ? (double)value->whole : value->real;
    uint64_t bits = 0;
    uint32_t half;
    float single;

    if (value->which != ENDIAN_VALUE_WHOLE && value->which != ENDIAN_VALUE_REAL)
        return NOT_OF_KIND;
    if (place->size == sizeof(single)) {
        /* Half a step above FLT_MAX rounds to infinity. */
        if (isfinite(real) && fabs(real) >= (double)FLT_MAX + ldexp(1, 103))
            return NOT_IN_RANGE;
        single = (float)real;
        memcpy(&half, &single, sizeof(half));
        bits = half;
    } else {
        memcpy(&bits, &real, sizeof(bits));
    }
    layout_put(layout, at, place->size, bits);
    return FITS;
}

static Fit pack_one(const Layout *layout, const Place *place, const endian_value *value,
                    unsigned char *at) {
    size_t len;

    switch (place->kind) {
    case KIND_REAL:
        return pack_real(layout, place, value, at);
    case KIND_BOOL:
        *at = value->which == ENDIAN_VALUE_WHOLE && value->whole != 0;
        return value->which == ENDIAN_VALUE_WHOLE ? FITS : NOT_OF_KIND;
    case KIND_OCTETS:
        if (value->which != ENDIAN_VALUE_OCTETS || (place->code == 'c' && value->octets.len != 1))
            return NOT_OF_KIND;
        /* Like Python's struct: longer octets are cut, shorter ones are filled with zeros.
         */
        len = value->octets.len < place->size ? value->octets.len : place->size;
        if (len > 0)
            memcpy(at, value->octets.data, len);
        return FITS;
    default:
        return pack_whole(layout, place, value, at);
    }
}

static int pack_all(ferry_request *request, const Layout *layout, const endian_list_value *values) {
    FERRY_AUTO(ferry_free) unsigned char *out = ferry_alloc(layout->size);
    char message[96];

    if (!out)
        return -ENOMEM;
    if (values->n != layout->n) {
        snprintf(message, sizeof(message), "the format has places for %zu values, not %zu",
                 layout->n, values->n);
        return endian_throw_wrong_count(
            request, &(endian_wrong_count){(int32_t)layout->n, (int32_t)values->n, message});
    }
    memset(out, 0, layout->size);
    for (size_t i = 0; i < layout->n; i++) {
        const Place *place = &layout->places[i];
        Fit fit = pack_one(layout, place, &values->v[i], out + place->offset);

        if (fit != FITS)
            return fit == NOT_IN_RANGE ? out_of_range(request, place, i)
                                       : bad_value(request, place, i);
    }
    return endian_pack_return(request, ferry_bytes_of(out, layout->size));
}

/* ---- unpacking ---- */

enum { DIGITS_MAX = 21 };

static endian_value unpack_one(const Layout *layout, const Place *place, const unsigned char *at,
                               char digits[DIGITS_MAX]) {
    endian_value value = {.which = ENDIAN_VALUE_WHOLE};
    uint64_t bits;
    uint32_t half;
    float single;

    if (place->kind == KIND_OCTETS)
        return (endian_value){.which = ENDIAN_VALUE_OCTETS,
                              .octets = ferry_bytes_of(at, place->size)};
    bits = layout_get(layout, at, place->size);
    if (place->kind == KIND_REAL && place->size == sizeof(single)) {
        half = (uint32_t)bits;
        memcpy(&single, &half, sizeof(single));
        return (endian_value){.which = ENDIAN_VALUE_REAL, .real = (double)single};
    }
    if (place->kind == KIND_REAL) {
        value.which = ENDIAN_VALUE_REAL;
        memcpy(&value.real, &bits, sizeof(bits));
    } else if (place->kind == KIND_BOOL) {
        value.whole = bits != 0;
    } else if (place->kind == KIND_SIGNED) {
        value.whole = (int64_t)(bits << (64 - 8 * place->size)) >> (64 - 8 * place->size);
    } else if (bits > INT64_MAX) {
        snprintf(digits, DIGITS_MAX, "%llu", (unsigned long long)bits);
        value.which = ENDIAN_VALUE_DIGITS;
        value.digits = digits;
    } else {
        value.whole = (int64_t)bits;
    }
    return value;
}

static int unpack_all(ferry_request *request, const Layout *layout, ferry_bytes octets) {
    endian_value *values = NULL;
    char message[96], (*digits)[DIGITS_MAX] = NULL;
    int r = -ENOMEM;

    if (octets.len != layout->size) {
        snprintf(message, sizeof(message), "unpack requires a buffer of %zu bytes, not %zu",
                 layout->size, octets.len);
        return endian_throw_wrong_length(
            request, &(endian_wrong_length){(int64_t)layout->size, (int64_t)octets.len, message});
    }
    values = calloc(layout->n + 1, sizeof(*values));
    digits = calloc(layout->n + 1, sizeof(*digits));
    for (size_t i = 0; values && digits && i < layout->n; i++)
        values[i] =
            unpack_one(layout, &layout->places[i],
                       (const unsigned char *)octets.data + layout->places[i].offset, digits[i]);
    if (values && digits)
        r = endian_unpack_return(request, &(endian_list_value){layout->n, values});
    free(values);
    free(digits);
    return r;
}

/* ---- the methods ---- */

static int pack(ferry_request *request, const char *format, const endian_list_value *values,
                void *ctx) {
    Layout layout;
    int r = layout_parse(&layout, format);

    (void)ctx;
    if (r >= 0)
        r = r > 0 ? bad_format(request, &layout) : pack_all(request, &layout, values);
    layout_deinit(&layout);
    return r;
}

static int unpack(ferry_request *request, const char *format, ferry_bytes octets, void *ctx) {
    Layout layout;
    int r = layout_parse(&layout, format);

    (void)ctx;
    if (r >= 0)
        r = r > 0 ? bad_format(request, &layout) : unpack_all(request, &layout, octets);
    layout_deinit(&layout);
    return r;
}

static int calcsize(ferry_request *request, const char *format, void *ctx) {
    Layout layout;
    int r = layout_parse(&layout, format);

    (void)ctx;
    if (r >= 0)
        r = r > 0 ? bad_format(request, &layout)
                  : endian_calcsize_return(request, (int64_t)layout.size);
    layout_deinit(&layout);
    return r;
}

int endian_start(ferry_client *client, ferry_error *reterr) {
    static const endian_handlers handlers = {.pack = pack, .unpack = unpack, .calcsize = calcsize};

    return endian_serve(client, &handlers, NULL, NULL, NULL, reterr);
}
