/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Bodies against the tables of a type. The first byte chooses the type. An accepted value packs,
 * and unpacks as the same value; it can be written as text for a person, and that text can be read
 * again.
 */

#include <stdlib.h>
#include <string.h>

#include "rpc/schema/codec/codec.h"
#include "rpc/schema/text/text.h"
#include "rpc/wire/message.h"
#include "unit/rpc/schema/tree.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static Span whole(const Buffer *bytes) {
    return span_of(bytes->data, bytes->len);
}

/* NULL: the input was refused, and a reason must be given. */
static void *unpack(const ferry_type *type, Span bytes) {
    ferry_error error = FERRY_ERROR_INIT;
    void *value = NULL;

    if (schema_unpack_block(type, bytes, "v", &value, &error) < 0 &&
        (!error.type || !*error.message))
        abort();
    ferry_error_clear(&error);
    return value;
}

static void check_person(const ferry_type *type, Span bytes) {
    CLEANUP(buffer_deinit) Buffer loose = {0}, strict = {0};
    void *value;

    if (schema_format(type, bytes, "v", &loose, NULL) < 0)
        abort();
    /* Some values have no text: an enum's value may have no name, and a binary may not be UTF-8. */
    if (schema_convert(type, whole(&loose), "v", &strict, NULL) < 0)
        return;
    value = unpack(type, whole(&strict));
    if (!value)
        abort();
    ferry_free(value);
}

static void check(const ferry_type *type, const void *value) {
    CLEANUP(buffer_deinit) Buffer first = {0}, second = {0};
    void *again;

    /* A union with a member of a later version cannot be packed. */
    if (schema_pack(type, value, "v", &first, NULL) < 0)
        return;
    again = unpack(type, whole(&first));
    if (!again || schema_pack(type, again, "v", &second, NULL) < 0 || first.len != second.len ||
        memcmp(first.data, second.data, first.len) != 0)
        abort();
    ferry_free(again);
    check_person(type, whole(&first));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const ferry_type *const types[] = {
        &tree_type,  &args_type,  &shape_type,        &sizes_type,
        &marks_type, &color_type, &ferry_type_string, &ferry_type_double,
    };
    const ferry_type *type;
    void *value;

    if (size < 1)
        return 0;
    type = types[data[0] % (sizeof(types) / sizeof(*types))];
    value = unpack(type, span_of(data + 1, size - 1));
    if (value)
        check(type, value);
    ferry_free(value);
    return 0;
}
