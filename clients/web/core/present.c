/* SPDX-License-Identifier: Apache-2.0 */
/* Conversion of the broker's answers for browsers. See core.h. */

#include <inttypes.h>
#include <stdlib.h>

#include "base/text.h"
#include "clients/json/base64.h"
#include "clients/json/value.h"
#include "clients/web/core/core.h"

/* JavaScript's numbers are exact up to here. */
#define EXACT_MAX ((INT64_C(1) << 53) - 1)

static json_t *as_text(json_int_t number) {
    char text[24];

    snprintf(text, sizeof(text), "%" JSON_INTEGER_FORMAT, number);
    return json_string(text);
}

/* True: a number of a job or session, or another integer that JavaScript would round. */
static bool is_text_for_browsers(const char *key, const json_t *value) {
    json_int_t number = json_integer_value(value);

    return json_is_integer(value) &&
           ((key && (strcmp(key, "job") == 0 || strcmp(key, "session") == 0)) ||
            number > EXACT_MAX || number < -EXACT_MAX);
}

static const char *text_of_form(const json_t *json, const char *form) {
    return json_object_size(json) == 1 ? json_string_value(json_object_get(json, form)) : NULL;
}

static bool is_one_container(ferry_bytes body) {
    uint8_t head = body.len > 1 ? *(const uint8_t *)body.data : 0;

    return (head >= 0x80 && head < 0xa0) || (head >= 0xdc && head <= 0xdf);
}

void present_body(json_t *to, ferry_bytes body) {
    json_t *value = NULL;

    if (is_one_container(body) && value_to_json(body, &value, NULL) == 0)
        json_object_set_new(to, "value", present_integers(value));
    if (text_is_utf8(body.data, body.len)) {
        json_object_set_new(to, "body", json_stringn(body.len ? body.data : "", body.len));
    } else {
        char *text = base64_encode(body.data, body.len);

        json_object_set_new(to, "body_base64", json_string(text ? text : ""));
        free(text);
    }
}

/* The first 64 KiB of a body, as bytes. */
static void present_bytes(json_t *object) {
    json_t *body = json_incref(json_object_get(object, "body"));
    const char *base64 = text_of_form(body, "$bin");
    uint8_t *data;
    size_t len;

    if (base64 && base64_decode(base64, strlen(base64), &data, &len) == 0) {
        json_object_del(object, "body");
        present_body(object, ferry_bytes_of(data, len));
        free(data);
    }
    json_decref(body);
}

void present(json_t *json) {
    const char *key;
    json_t *value;
    size_t i;
    void *next;

    json_array_foreach(json, i, value) {
        if (is_text_for_browsers(NULL, value))
            json_array_set_new(json, i, as_text(json_integer_value(value)));
        else
            present(value);
    }
    if (!json_is_object(json))
        return;
    if (json_object_get(json, "body"))
        present_bytes(json);
    json_object_foreach_safe(json, next, key, value) {
        if (strcmp(key, "value") == 0)
            continue;
        if (is_text_for_browsers(key, value))
            json_object_set_new(json, key, as_text(json_integer_value(value)));
        else
            present(value);
    }
}

json_t *present_integers(json_t *json) {
    const char *key, *text;
    json_t *value;
    size_t i;
    void *next;

    text = text_of_form(json, "$int");
    if (text || is_text_for_browsers(NULL, json)) {
        value = text ? json_string(text) : as_text(json_integer_value(json));
        json_decref(json);
        return value;
    }
    json_array_foreach(json, i, value)
        json_array_set_new(json, i, present_integers(json_incref(value)));
    if (json_is_object(json))
        json_object_foreach_safe(json, next, key, value)
            json_object_set_new(json, key, present_integers(json_incref(value)));
    return json;
}
