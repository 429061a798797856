/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Compares, hashes and looks up values in C by their tables. */

#include <assert.h>
#include <ferry/schema.h>

#include "rpc/schema/codec/value-error.h"

/* Lists, sets and maps in C. */
typedef struct ValueList {
    size_t n;
    const void *v;
} ValueList;

enum {
    VALUE_FIELDS_MAX = 1024, /* fields of one struct */
    VALUE_ALIGN = 8,
};

static inline bool type_is_scalar(const ferry_type *type) {
    return type->kind <= FERRY_KIND_ENUM;
}

/* True: the field has a pointer to its value. A string is a pointer itself. */
static inline bool field_is_pointer(const ferry_field *field) {
    return (field->flags & (FERRY_OPTIONAL | FERRY_POINTER)) != 0 &&
           field->type->kind != FERRY_KIND_STRING;
}

/* The field's value inside the C struct, or NULL when it is absent. */
static inline const void *field_value(const ferry_field *field, const void *in) {
    const void *slot = (const char *)in + field->offset;

    assert(in);
    if (field_is_pointer(field))
        return *(const void *const *)slot;
    if (field->type->kind == FERRY_KIND_STRING && !*(const char *const *)slot)
        return NULL;
    return slot;
}

/* True: all elements of the list differ; the next one is `stride` bytes further on. False: the
 * error has the place of an element that occurs twice; what: its name in the message. */
bool values_are_unique(const ferry_type *type, const ValueList *list, size_t stride,
                       const char *what, ValueError *error);
