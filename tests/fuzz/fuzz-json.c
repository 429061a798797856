/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MessagePack to JSON and back. The first byte chooses the direction: even, MessagePack; odd, JSON
 * text. A value that was read is written, and must then read as the same value.
 */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "clients/cli/terminal/print.h"
#include "clients/json/value.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Bytes to JSON; NULL: the input was refused, and a reason must be given. */
static json_t *read_bytes(const void *data, size_t size) {
    ferry_error error = FERRY_ERROR_INIT;
    json_t *json = NULL;

    if (value_to_json(ferry_bytes_of(data, size), &json, &error) < 0 &&
        (!error.type || !*error.message))
        abort();
    ferry_error_clear(&error);
    return json;
}

static json_t *read_text(const char *text, size_t len) {
    ferry_error error = FERRY_ERROR_INIT;
    json_t *json = NULL;

    if (value_parse(text, len, "input:", &json, &error) < 0 && (!error.type || !*error.message))
        abort();
    ferry_error_clear(&error);
    return json;
}

/* The printed text must be JSON of the same value. */
static void check_print(const json_t *json) {
    char *text = NULL;
    size_t len = 0;
    FILE *to = open_memstream(&text, &len);
    json_t *again;

    print_json(json, (PrintStyle){true, false}, to);
    fclose(to);
    again = read_text(text, len);
    if (!again || !json_equal(json, again))
        abort();
    json_decref(again);
    free(text);
}

static void check(const json_t *json, int must_pack) {
    ferry_error error = FERRY_ERROR_INIT;
    Buffer packed = {0};

    if (value_from_json(json, &packed, &error) == 0) {
        json_t *again = read_bytes(packed.data, packed.len);
        Buffer repacked = {0};

        /* json_equal() would fail here: {"$bin": "AA"} becomes {"$bin": "AA=="}. After that it must
         * not change again. */
        if (!again || value_from_json(again, &repacked, &error) < 0 || repacked.len != packed.len ||
            memcmp(repacked.data, packed.data, packed.len) != 0)
            abort();
        if (must_pack && !json_equal(json, again))
            abort();
        check_print(again);
        buffer_deinit(&repacked);
        json_decref(again);
    } else if (must_pack || !error.type) {
        abort();
    }
    ferry_error_clear(&error);
    buffer_deinit(&packed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    json_t *json;

    if (size < 1)
        return 0;
    json = *data & 1 ? read_text((const char *)data + 1, size - 1) : read_bytes(data + 1, size - 1);
    if (json)
        check(json, !(*data & 1));
    json_decref(json);
    return 0;
}
