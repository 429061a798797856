/*
 * Descriptions and bodies from strangers. The input is a description; what follows its MessagePack
 * value is a body for each of its types. What the codec accepts is packed again and accepted again,
 * as the same value; what is shown to people is MessagePack; the printed interface compiles.
 */

#include <stdlib.h>
#include <string.h>

#include "rpc/schema/codec.h"
#include "rpc/schema/description.h"
#include "rpc/schema/dynamic.h"
#include "rpc/schema/remote-error.h"
#include "rpc/schema/values.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static Span body;

static Span whole(const Buffer *bytes) {
    return (Span){bytes->data, bytes->len};
}

static bool holds_unknown(const Buffer *bytes, int r) {
    /* A union that holds what the interface does not know can be received, not sent. A value that
     * was given defaults may be larger than what came. */
    (void)bytes;
    return r == -EINVAL;
}

static int check_type(const ferry_type *type, void *ctx) {
    Buffer again = {0}, shown = {0};
    void *value, *same;
    int r;

    (void)ctx;
    schema_convert(type, body, "v", &again, NULL);
    schema_template(type, &again);
    buffer_reset(&again);
    if (schema_unpack_block(type, body, "v", &value, NULL) == 0) {
        r = schema_pack(type, value, "v", &again, NULL);
        if (r == 0 && schema_unpack_block(type, whole(&again), "v", &same, NULL) == 0) {
            if (!value_equal(type, value, same))
                abort();
            ferry_free(same);
        } else if (r != 0 && !holds_unknown(&again, r)) {
            abort();
        }
        if (schema_present(type, body, "v", &shown, NULL) == 0 && wire_check(shown.data, shown.len))
            abort();
        ferry_free(value);
    }
    buffer_deinit(&again);
    buffer_deinit(&shown);
    return 0;
}

static void check_service(const ferry_service *service) {
    Buffer first = {0}, second = {0}, text = {0};
    ferry_service *again = NULL;

    description_print(service, &text);
    /* What it says of itself reads back as the same. */
    if (description_write(service, &first) == 0 &&
        description_read(whole(&first), &again, NULL) == 0 &&
        (description_write(again, &second) < 0 || first.len != second.len ||
         memcmp(first.data, second.data, first.len) != 0))
        abort();
    ferry_free(again);
    buffer_deinit(&first);
    buffer_deinit(&second);
    buffer_deinit(&text);
    for (uint32_t i = 0; i < service->n_methods; i++)
        if (service->methods[i].args)
            check_type(service->methods[i].args, NULL);
    description_each_type(service, check_type, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    Reader reader = reader_of(data, size);
    Span description = reader_value(&reader);
    ferry_error error = FERRY_ERROR_INIT;
    ferry_service *service = NULL;

    remote_error_read((Span){data, size}, &error);
    ferry_error_clear(&error);
    if (reader.problem || size > 64 * 1024)
        return 0;
    body = (Span){reader.at, reader_left(&reader)};
    if (description_read(description, &service, NULL) == 0)
        check_service(service);
    ferry_free(service);
    return 0;
}
