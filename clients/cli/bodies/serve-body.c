/* SPDX-License-Identifier: Apache-2.0 */
/* Conversion between MessagePack and the input and output of shell commands. See serve-body.h. */

#include "clients/cli/bodies/serve-body.h"

#include <stdlib.h>

#include "base/error.h"
#include "base/text.h"
#include "clients/json/base64.h"

enum { LIST_OF_ONE = 0x91 };

BodyFormat body_format(const char *name) {
    return !name || strcmp(name, "text") == 0 ? BODY_TEXT
           : strcmp(name, "json") == 0        ? BODY_JSON
                                              : BODY_MSGPACK;
}

static int append_json(const json_t *json, Buffer *input) {
    char *text = json_dumps(json, JSON_ENCODE_ANY);

    if (!text)
        return -ENOMEM;
    buffer_append(input, text, strlen(text));
    buffer_append(input, "\n", 1);
    free(text);
    return input->failed ? -ENOMEM : 0;
}

/* Appends a single text or bytes argument without quotes. Returns 1 if the argument was one. */
static int append_plain(const json_t *args, Buffer *input) {
    const json_t *one = json_array_size(args) == 1 ? json_array_get(args, 0) : NULL;
    const char *base64 = json_string_value(json_object_get(one, "$bin"));
    uint8_t *data;
    size_t len;

    if (json_is_string(one)) {
        buffer_append(input, json_string_value(one), json_string_length(one));
    } else if (base64 && json_object_size(one) == 1) {
        if (base64_decode(base64, strlen(base64), &data, &len) < 0)
            return -ENOMEM;
        buffer_append(input, data, len);
        free(data);
    } else {
        return 0;
    }
    return input->failed ? -ENOMEM : 1;
}

int body_to_input(BodyFormat format, ferry_bytes args, Buffer *input) {
    CLEANUP(json_decref) json_t *json = NULL;
    ferry_error error = FERRY_ERROR_INIT;
    int r;

    if (format == BODY_MSGPACK || args.len == 0) {
        buffer_append(input, args.data, args.len);
        return input->failed ? -ENOMEM : 0;
    }
    r = value_to_json(args, &json, &error);
    ferry_error_clear(&error);
    if (r < 0)
        return r;
    if (format == BODY_TEXT) {
        r = append_plain(json, input);
        if (r != 0)
            return r < 0 ? r : 0;
    }
    return append_json(json, input);
}

static json_t *text_of(const char *text, size_t len) {
    CLEANUP(json_decref) json_t *object = NULL;
    char *base64;

    if (text_is_utf8(text, len))
        return json_stringn_nocheck(text, len);
    base64 = base64_encode((const uint8_t *)text, len);
    object = base64 ? json_pack("{s: s}", "$bin", base64) : NULL;
    free(base64);
    return steal(&object);
}

int body_from_output(BodyFormat format, const Buffer *output, Buffer *packed, ferry_error *reterr) {
    CLEANUP(json_decref) json_t *json = NULL;
    const char *text = output->data ? (const char *)output->data : "";
    size_t len = output->len;
    int r = 0;

    if (format == BODY_MSGPACK) {
        r = value_to_json(ferry_bytes_of(text, len), &json, reterr);
        if (r == 0)
            buffer_append(packed, text, len);
        return r < 0 ? r : packed->failed ? error_set_code(reterr, -ENOMEM, NULL) : 0;
    }
    if (len > 0 && text[len - 1] == '\n')
        len--;
    if (len == 0)
        json = format == BODY_TEXT ? json_string("") : json_null();
    else
        r = value_parse(text, len, "", &json, reterr);
    if (r == 0)
        r = value_from_json(json, packed, reterr);
    if (r == 0 || format == BODY_JSON || r == -ENOMEM)
        return r;

    ferry_error_clear(reterr);
    json_decref(json);
    buffer_reset(packed);
    json = text_of(text, len);
    return json ? value_from_json(json, packed, reterr) : error_set_code(reterr, -ENOMEM, NULL);
}

ferry_bytes body_of_echo(ferry_bytes args) {
    const uint8_t *bytes = args.data;

    if (args.len < 2 || bytes[0] != LIST_OF_ONE)
        return args;
    args.data = bytes + 1;
    args.len--;
    return args;
}
