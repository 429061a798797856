/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Descriptions from unknown servers, and a body for each: two bytes of length, a description of
 * this length, a body. An accepted description must describe itself the same, print as an interface
 * file, and have tables that can check any body.
 */

#include <stdlib.h>
#include <string.h>

#include "rpc/schema/codec/codec.h"
#include "rpc/schema/description/description.h"
#include "rpc/schema/text/text.h"
#include "rpc/wire/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static Span whole(const Buffer *bytes) {
    return span_of(bytes->data, bytes->len);
}

/* NULL: the input was refused, and a reason must be given. */
static ferry_service *read_one(Span bytes) {
    ferry_error error = FERRY_ERROR_INIT;
    ferry_service *service = NULL;

    if (description_read(bytes, &service, &error) < 0 && (!error.type || !*error.message))
        abort();
    ferry_error_clear(&error);
    return service;
}

static void check_texts(const ferry_service *service) {
    CLEANUP(buffer_deinit) Buffer first = {0}, second = {0}, text = {0};
    ferry_service *again;

    if (description_write(service, &first) < 0)
        abort();
    again = read_one(whole(&first));
    if (!again || description_write(again, &second) < 0 || first.len != second.len ||
        memcmp(first.data, second.data, first.len) != 0)
        abort();
    ferry_free(again);
    if (description_print(service, &text) < 0)
        abort();
}

static void check_body(const ferry_type *type, Span body) {
    CLEANUP(buffer_deinit) Buffer bytes = {0};
    void *value = NULL;

    if (!type)
        return;
    if (schema_unpack_block(type, body, "v", &value, NULL) == 0) {
        schema_pack(type, value, "v", &bytes, NULL);
        if (schema_format(type, body, "v", &bytes, NULL) < 0)
            abort();
        ferry_free(value);
    }
    schema_convert(type, body, "v", &bytes, NULL);
    schema_example(type, &bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    ferry_service *service;
    size_t len;

    if (size < 2)
        return 0;
    len = (size_t)data[0] << 8 | data[1];
    len = len < size - 2 ? len : size - 2;
    service = read_one(span_of(data + 2, len));
    if (!service)
        return 0;
    check_texts(service);
    for (uint32_t i = 0; i < service->n_methods; i++) {
        const ferry_method *method = &service->methods[i];
        Span body = span_of(data + 2 + len, size - 2 - len);

        check_body(method->args, body);
        check_body(method->result, body);
        check_body(method->stream_in, body);
        check_body(method->stream_out, body);
    }
    ferry_free(service);
    return 0;
}
