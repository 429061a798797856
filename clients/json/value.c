/* SPDX-License-Identifier: Apache-2.0 */
/* Conversion between MessagePack and JSON. See value.h. */

#include "clients/json/value.h"

#include <inttypes.h>
#include <math.h>
#include <msgpack.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/text.h"
#include "clients/json/base64.h"

static const char *const forms[] = {"$bin", "$str", "$int", "$float", "$ext", "$map"};

enum { N_FORMS = sizeof(forms) / sizeof(*forms) };

static bool is_form(const char *key) {
    for (size_t i = 0; i < N_FORMS; i++)
        if (strcmp(forms[i], key) == 0)
            return true;
    return false;
}

/* ---- from MessagePack ---- */

typedef struct In {
    const uint8_t *start, *p, *end;
    unsigned depth;
    size_t nodes;
    ferry_error *reterr;
} In;

static int in_fail(In *in, const char *problem) {
    return error_set(in->reterr, "ferry.InvalidArgument", "not a MessagePack value: byte %zu: %s",
                     (size_t)(in->p - in->start), problem);
}

static bool in_uint(In *in, unsigned size, uint64_t *ret) {
    if ((size_t)(in->end - in->p) < size)
        return false;
    *ret = 0;
    while (size-- > 0)
        *ret = *ret << 8 | *in->p++;
    return true;
}

static int got(json_t *json, json_t **ret, In *in) {
    if (!json)
        return error_set_code(in->reterr, -ENOMEM, NULL);
    *ret = json;
    return 0;
}

static json_t *form_of(const char *key, json_t *value) {
    json_t *object = value ? json_object() : NULL;

    if (!object || json_object_set_new_nocheck(object, key, value) < 0) {
        json_decref(object);
        return NULL;
    }
    return object;
}

static json_t *base64_json(const uint8_t *data, size_t len) {
    char *text = base64_encode(data, len);
    json_t *json = text ? json_string_nocheck(text) : NULL;

    free(text);
    return json;
}

static int in_text(In *in, uint64_t len, json_t **ret) {
    const uint8_t *text = in->p;

    if (len > (size_t)(in->end - in->p))
        return in_fail(in, "a text is longer than the remaining bytes");
    in->p += len;
    return got(text_is_utf8(text, len) ? json_stringn_nocheck((const char *)text, len)
                                       : form_of("$str", base64_json(text, len)),
               ret, in);
}

static int in_bytes(In *in, uint64_t len, json_t **ret) {
    const uint8_t *data = in->p;

    if (len > (size_t)(in->end - in->p))
        return in_fail(in, "a binary is longer than the remaining bytes");
    in->p += len;
    return got(form_of("$bin", base64_json(data, len)), ret, in);
}

static int in_ext(In *in, uint64_t len, json_t **ret) {
    json_t *pair;
    int8_t type;

    if (len >= (size_t)(in->end - in->p))
        return in_fail(in, "an extension is longer than the remaining bytes");
    type = (int8_t)*in->p++;
    pair = json_pack("[i, o]", type, base64_json(in->p, len));
    in->p += len;
    return got(form_of("$ext", pair), ret, in);
}

static int in_real(In *in, double value, json_t **ret) {
    if (isfinite(value))
        return got(json_real(value), ret, in);
    return got(form_of("$float", json_string(isnan(value) ? "nan"
                                             : value > 0  ? "inf"
                                                          : "-inf")),
               ret, in);
}

static int in_unsigned(In *in, uint64_t value, json_t **ret) {
    char text[24];

    if (value <= INT64_MAX)
        return got(json_integer((json_int_t)value), ret, in);
    snprintf(text, sizeof(text), "%" PRIu64, value);
    return got(form_of("$int", json_string(text)), ret, in);
}

static int in_value(In *in, json_t **ret);

/* Each item takes at least one byte: reject a count that is larger than the remaining bytes. */
static int in_enter(In *in, uint64_t items) {
    if (in->depth == VALUE_DEPTH_MAX)
        return in_fail(in, "nested deeper than 32 levels");
    if (items > (size_t)(in->end - in->p))
        return in_fail(in, "a count is larger than the remaining bytes");
    in->depth++;
    return 0;
}

static int in_array(In *in, uint64_t n, json_t **ret) {
    CLEANUP(json_decref) json_t *array = json_array();
    int r = array ? in_enter(in, n) : error_set_code(in->reterr, -ENOMEM, NULL);

    for (uint64_t i = 0; r == 0 && i < n; i++) {
        json_t *item = NULL;

        r = in_value(in, &item);
        if (r == 0 && json_array_append_new(array, item) < 0)
            r = error_set_code(in->reterr, -ENOMEM, NULL);
    }
    if (r < 0)
        return r;
    in->depth--;
    *ret = steal(&array);
    return 0;
}

/* True: the map can be a JSON object, because its keys are different strings and it does not look
 * like one of the forms of value.h. */
static bool is_plain(const json_t *pairs) {
    CLEANUP(json_decref) json_t *seen = json_object();
    size_t n = json_array_size(pairs);

    for (size_t i = 0; i < n; i++) {
        const json_t *key = json_array_get(json_array_get(pairs, i), 0);

        /* jansson 2.13 and older accept only keys without NUL. */
        if (!json_is_string(key) || strlen(json_string_value(key)) != json_string_length(key) ||
            json_object_get(seen, json_string_value(key)) ||
            json_object_set_new_nocheck(seen, json_string_value(key), json_null()) < 0)
            return false;
    }
    return n != 1 || !is_form(json_string_value(json_array_get(json_array_get(pairs, 0), 0)));
}

static json_t *object_of(const json_t *pairs) {
    json_t *object = json_object();

    for (size_t i = 0; object && i < json_array_size(pairs); i++) {
        const json_t *pair = json_array_get(pairs, i);

        if (json_object_set_nocheck(object, json_string_value(json_array_get(pair, 0)),
                                    json_array_get(pair, 1)) < 0) {
            json_decref(object);
            return NULL;
        }
    }
    return object;
}

static int in_map(In *in, uint64_t n, json_t **ret) {
    CLEANUP(json_decref) json_t *pairs = json_array();
    int r = pairs ? in_enter(in, 2 * n) : error_set_code(in->reterr, -ENOMEM, NULL);

    for (uint64_t i = 0; r == 0 && i < n; i++) {
        json_t *key = NULL, *value = NULL;

        r = in_value(in, &key);
        if (r == 0)
            r = in_value(in, &value);
        if (r < 0)
            json_decref(key);
        else if (json_array_append_new(pairs, json_pack("[o, o]", key, value)) < 0)
            r = error_set_code(in->reterr, -ENOMEM, NULL);
    }
    if (r < 0)
        return r;
    in->depth--;
    return got(is_plain(pairs) ? object_of(pairs) : form_of("$map", json_incref(pairs)), ret, in);
}

static int in_sized(In *in, uint8_t head, json_t **ret) {
    static const uint8_t sizes[32] = {
        [0x04] = 1, [0x05] = 2, [0x06] = 4, [0x07] = 1, [0x08] = 2, [0x09] = 4,
        [0x0a] = 4, [0x0b] = 8, [0x0c] = 1, [0x0d] = 2, [0x0e] = 4, [0x0f] = 8,
        [0x10] = 1, [0x11] = 2, [0x12] = 4, [0x13] = 8, [0x19] = 1, [0x1a] = 2,
        [0x1b] = 4, [0x1c] = 2, [0x1d] = 4, [0x1e] = 2, [0x1f] = 4,
    };
    unsigned size = sizes[head & 31];
    uint64_t n = 0;
    float single;
    double real;

    if (!in_uint(in, size, &n))
        return in_fail(in, "the value ends too early");
    switch (head) {
    case 0xc4:
    case 0xc5:
    case 0xc6:
        return in_bytes(in, n, ret);
    case 0xc7:
    case 0xc8:
    case 0xc9:
        return in_ext(in, n, ret);
    case 0xca:
        memcpy(&single, &(uint32_t){(uint32_t)n}, 4);
        return in_real(in, single, ret);
    case 0xcb:
        memcpy(&real, &n, 8);
        return in_real(in, real, ret);
    case 0xcc:
    case 0xcd:
    case 0xce:
    case 0xcf:
        return in_unsigned(in, n, ret);
    case 0xd0:
        return got(json_integer((int8_t)n), ret, in);
    case 0xd1:
        return got(json_integer((int16_t)n), ret, in);
    case 0xd2:
        return got(json_integer((int32_t)n), ret, in);
    case 0xd3:
        return got(json_integer((int64_t)n), ret, in);
    case 0xd9:
    case 0xda:
    case 0xdb:
        return in_text(in, n, ret);
    case 0xdc:
    case 0xdd:
        return in_array(in, n, ret);
    default:
        return in_map(in, n, ret);
    }
}

static int in_value(In *in, json_t **ret) {
    uint8_t head;

    if (in->p == in->end)
        return in_fail(in, "the value ends too early");
    if (++in->nodes > VALUE_NODES_MAX)
        return in_fail(in, "there are more than 4 million values");
    head = *in->p++;
    if (head < 0x80)
        return got(json_integer(head), ret, in);
    if (head < 0x90)
        return in_map(in, head & 15, ret);
    if (head < 0xa0)
        return in_array(in, head & 15, ret);
    if (head < 0xc0)
        return in_text(in, head & 31, ret);
    if (head >= 0xe0)
        return got(json_integer((int8_t)head), ret, in);
    if (head >= 0xd4 && head <= 0xd8)
        return in_ext(in, UINT64_C(1) << (head - 0xd4), ret);
    switch (head) {
    case 0xc0:
        return got(json_null(), ret, in);
    case 0xc1:
        in->p--;
        return in_fail(in, "the byte 0xc1 is not MessagePack");
    case 0xc2:
    case 0xc3:
        return got(json_boolean(head & 1), ret, in);
    default:
        return in_sized(in, head, ret);
    }
}

int value_to_json(ferry_bytes bytes, json_t **ret, ferry_error *reterr) {
    In in = {.start = bytes.data, .p = bytes.data, .reterr = reterr};
    json_t *json = NULL;
    int r;

    in.end = in.p + bytes.len;
    r = in_value(&in, &json);
    if (r == 0 && in.p != in.end) {
        json_decref(json);
        r = in_fail(&in, "there are more bytes after the value");
    }
    if (r == 0)
        *ret = json;
    return r;
}

/* ---- to MessagePack ---- */

typedef struct Out {
    msgpack_packer packer;
    Buffer *to;
    unsigned depth;
    size_t path_len;
    char path[256];
    ferry_error *reterr;
} Out;

static int write_bytes(void *to, const char *data, size_t len) {
    buffer_append(to, data, len);
    return 0;
}

static int out_fail(Out *out, const char *problem) {
    return error_set(out->reterr, "ferry.InvalidArgument", "%s%s%s", out->path,
                     out->path_len ? ": " : "", problem);
}

static int out_value(Out *out, const json_t *json);

static size_t path_add(Out *out, const char *key, size_t index) {
    size_t before = out->path_len, room = sizeof(out->path) - before;
    int n = key ? snprintf(out->path + before, room, "%s%.60s", before ? "." : "", key)
                : snprintf(out->path + before, room, "[%zu]", index);

    out->path_len = n > 0 && (size_t)n < room ? before + (size_t)n : sizeof(out->path) - 1;
    return before;
}

static void path_cut(Out *out, size_t to) {
    out->path_len = to;
    out->path[to] = '\0';
}

static int out_bytes(Out *out, const json_t *text, const char *form, int type) {
    uint8_t *data = NULL;
    size_t len = 0;
    int r;

    if (!json_is_string(text))
        return out_fail(out, "the value must be a string in base64");
    r = base64_decode(json_string_value(text), json_string_length(text), &data, &len);
    if (r == -ENOMEM)
        return error_set_code(out->reterr, r, NULL);
    if (r < 0)
        return out_fail(out, "the string is not base64");
    if (strcmp(form, "$bin") == 0)
        msgpack_pack_bin_with_body(&out->packer, data, len);
    else if (strcmp(form, "$str") == 0)
        msgpack_pack_str_with_body(&out->packer, data, len);
    else
        msgpack_pack_ext_with_body(&out->packer, data, len, (int8_t)type);
    free(data);
    return 0;
}

static int out_ext(Out *out, const json_t *pair) {
    json_int_t type = json_integer_value(json_array_get(pair, 0));

    if (json_array_size(pair) != 2 || !json_is_integer(json_array_get(pair, 0)) || type < -128 ||
        type > 127)
        return out_fail(out, "an extension must be [type from -128 to 127, \"base64\"]");
    return out_bytes(out, json_array_get(pair, 1), "$ext", (int)type);
}

static int out_big_int(Out *out, const json_t *text) {
    const char *digits = json_string_value(text);
    char *end;
    uint64_t value;

    errno = 0;
    value = digits && *digits >= '0' && *digits <= '9' ? strtoull(digits, &end, 10) : 0;
    if (!digits || *digits < '0' || *digits > '9' || *end || errno)
        return out_fail(out, "an integer must be a string of digits, at most 18446744073709551615");
    msgpack_pack_uint64(&out->packer, value);
    return 0;
}

static int out_float(Out *out, const json_t *text) {
    const char *word = json_is_string(text) ? json_string_value(text) : "";

    if (strcmp(word, "nan") == 0)
        msgpack_pack_double(&out->packer, (double)NAN);
    else if (strcmp(word, "inf") == 0)
        msgpack_pack_double(&out->packer, (double)INFINITY);
    else if (strcmp(word, "-inf") == 0)
        msgpack_pack_double(&out->packer, (double)-INFINITY);
    else
        return out_fail(out, "the value must be \"nan\", \"inf\" or \"-inf\"");
    return 0;
}

static int out_pairs(Out *out, const json_t *pairs) {
    size_t n = json_array_size(pairs);
    int r = 0;

    if (!json_is_array(pairs))
        return out_fail(out, "a map must be a list of [key, value]");
    msgpack_pack_map(&out->packer, n);
    for (size_t i = 0; r == 0 && i < n; i++) {
        const json_t *pair = json_array_get(pairs, i);
        size_t before = path_add(out, NULL, i);

        if (json_array_size(pair) != 2)
            return out_fail(out, "a map must be a list of [key, value]");
        r = out_value(out, json_array_get(pair, 0));
        if (r == 0)
            r = out_value(out, json_array_get(pair, 1));
        path_cut(out, r < 0 ? out->path_len : before);
    }
    return r;
}

static int out_form(Out *out, const char *form, const json_t *value) {
    path_add(out, form, 0);
    switch (form[1]) {
    case 'b':
    case 's':
        return out_bytes(out, value, form, 0);
    case 'i':
        return out_big_int(out, value);
    case 'f':
        return out_float(out, value);
    case 'e':
        return out_ext(out, value);
    default:
        return out_pairs(out, value);
    }
}

static int out_object(Out *out, const json_t *json) {
    const char *key;
    json_t *value;
    int r = 0;

    if (json_object_size(json) == 1) {
        key = json_object_iter_key(json_object_iter((json_t *)json));
        if (is_form(key)) {
            size_t before = out->path_len;

            r = out_form(out, key, json_object_get(json, key));
            if (r == 0)
                path_cut(out, before);
            return r;
        }
    }
    msgpack_pack_map(&out->packer, json_object_size(json));
    json_object_foreach((json_t *)json, key, value) {
        size_t before = path_add(out, key, 0);

        msgpack_pack_str_with_body(&out->packer, key, strlen(key));
        r = out_value(out, value);
        if (r < 0)
            return r;
        path_cut(out, before);
    }
    return 0;
}

static int out_array(Out *out, const json_t *json) {
    size_t n = json_array_size(json);

    msgpack_pack_array(&out->packer, n);
    for (size_t i = 0; i < n; i++) {
        size_t before = path_add(out, NULL, i);
        int r = out_value(out, json_array_get(json, i));

        if (r < 0)
            return r;
        path_cut(out, before);
    }
    return 0;
}

/* All forms except $map are leaves. */
static bool is_leaf(const json_t *json) {
    const char *key = NULL;

    if (json_object_size(json) == 1)
        key = json_object_iter_key(json_object_iter((json_t *)json));
    return key && is_form(key) && strcmp(key, "$map") != 0;
}

static int out_nested(Out *out, const json_t *json) {
    int r;

    if (is_leaf(json))
        return out_object(out, json);
    if (out->depth == VALUE_DEPTH_MAX)
        return out_fail(out, "nested deeper than 32 levels");
    out->depth++;
    r = json_is_array(json) ? out_array(out, json) : out_object(out, json);
    out->depth--;
    return r;
}

static int out_value(Out *out, const json_t *json) {
    switch (json_typeof(json)) {
    case JSON_OBJECT:
    case JSON_ARRAY:
        return out_nested(out, json);
    case JSON_STRING:
        msgpack_pack_str_with_body(&out->packer, json_string_value(json), json_string_length(json));
        break;
    case JSON_INTEGER:
        msgpack_pack_int64(&out->packer, json_integer_value(json));
        break;
    case JSON_REAL:
        msgpack_pack_double(&out->packer, json_real_value(json));
        break;
    case JSON_TRUE:
        msgpack_pack_true(&out->packer);
        break;
    case JSON_FALSE:
        msgpack_pack_false(&out->packer);
        break;
    default:
        msgpack_pack_nil(&out->packer);
    }
    return 0;
}

int value_from_json(const json_t *json, Buffer *to, ferry_error *reterr) {
    Out out = {.to = to, .reterr = reterr};
    int r;

    msgpack_packer_init(&out.packer, to, write_bytes);
    r = out_value(&out, json);
    if (r == 0 && to->failed)
        r = error_set_code(reterr, -ENOMEM, NULL);
    return r;
}

int value_parse(const char *text, size_t len, const char *what, json_t **ret, ferry_error *reterr) {
    char shown[TEXT_ESCAPED_MAX];
    json_error_t problem = {0};
    json_t *json =
        json_loadb(text, len, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &problem);

    if (json) {
        *ret = json;
        return 0;
    }
    /* Without memory for its first buffer jansson gives no reason at all. */
    if (json_error_code(&problem) == json_error_out_of_memory || !*problem.text)
        return error_set_code(reterr, -ENOMEM, NULL);
    return error_set(reterr, "ferry.InvalidArgument", "%s '%s' is not JSON: column %d: %s", what,
                     text_escape(shown, text, len > 60 ? 60 : len), problem.column, problem.text);
}

json_t *value_text_of_base64(const char *base64) {
    json_t *json = NULL;
    uint8_t *data;
    size_t len;

    if (base64_decode(base64, strlen(base64), &data, &len) < 0)
        return NULL;
    if (text_is_utf8(data, len))
        json = json_stringn_nocheck((const char *)data, len);
    free(data);
    return json;
}
