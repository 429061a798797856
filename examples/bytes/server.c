/* SPDX-License-Identifier: Apache-2.0 */
/* Octets and text: numbers to octets, text to octets, and back. */

#include <stdlib.h>

#include "codec.h"
#include "server.h"

static int octets(ferry_request *request, const ferry_list_i32 *numbers, void *ctx) {
    FERRY_AUTO(ferry_free) unsigned char *out = ferry_alloc(numbers->n);
    char message[80];

    (void)ctx;
    if (!out)
        return -ENOMEM;
    for (size_t i = 0; i < numbers->n; i++) {
        int32_t value = numbers->v[i];

        if (value < 0 || value > 255) {
            snprintf(message, sizeof(message), "number %zu is %d: an octet is 0 to 255", i, value);
            return bytes_throw_bad_octet(request, &(bytes_bad_octet){(int32_t)i, value, message});
        }
        out[i] = (unsigned char)value;
    }
    return bytes_octets_return(request, ferry_bytes_of(out, numbers->n));
}

static int numbers(ferry_request *request, ferry_bytes from, void *ctx) {
    const unsigned char *data = from.data;
    int32_t *v = calloc(from.len + 1, sizeof(*v));
    int r = -ENOMEM;

    (void)ctx;
    for (size_t i = 0; v && i < from.len; i++)
        v[i] = data[i];
    if (v)
        r = bytes_numbers_return(request, &(ferry_list_i32){from.len, v});
    free(v);
    return r;
}

/* 0: both values are valid. Otherwise the request was answered with an error. */
static int check(ferry_request *request, bytes_codec codec, bytes_errors errors) {
    bool bad_codec = !codec_name(codec);

    if (!bad_codec && bytes_errors_name(errors))
        return 0;
    bytes_throw_bad_argument(
        request,
        &(bytes_bad_argument){bad_codec ? "codec" : "errors", bad_codec ? codec : errors,
                              bad_codec ? "there is no such codec" : "STRICT, REPLACE or IGNORE"});
    return 1;
}

static int encode(ferry_request *request, const char *text, bytes_codec codec, bytes_errors errors,
                  void *ctx) {
    char message[128], *out = NULL;
    CodecError error;
    size_t len;
    int r;

    (void)ctx;
    if (check(request, codec, errors) != 0)
        return 0;
    r = codec_encode(codec, errors, text, &out, &len, &error);
    if (r < 0)
        return r;
    if (r == CODEC_ERROR) {
        snprintf(message, sizeof(message),
                 error.value < 0x100
                     ? "'%s' codec can't encode character '\\x%02x' in position %zu: %s"
                 : error.value < 0x10000
                     ? "'%s' codec can't encode character '\\u%04x' in position %zu: %s"
                     : "'%s' codec can't encode character '\\U%08x' in position %zu: %s",
                 codec_name(codec), error.value, error.position, error.reason);
        return bytes_throw_encode_error(
            request, &(bytes_encode_error){codec_name(codec), (int64_t)error.position,
                                           (int32_t)error.value, error.reason, message});
    }
    r = bytes_encode_return(request, ferry_bytes_of(out, len));
    free(out);
    return r;
}

static int decode(ferry_request *request, ferry_bytes from, bytes_codec codec, bytes_errors errors,
                  void *ctx) {
    char message[128], *text = NULL;
    CodecError error;
    int r;

    (void)ctx;
    if (check(request, codec, errors) != 0)
        return 0;
    r = codec_decode(codec, errors, from, &text, &error);
    if (r < 0)
        return r;
    if (r == CODEC_ERROR) {
        if (error.length == 1)
            snprintf(message, sizeof(message),
                     "'%s' codec can't decode byte 0x%02x in position %zu: %s", codec_name(codec),
                     error.value, error.position, error.reason);
        else
            snprintf(message, sizeof(message),
                     "'%s' codec can't decode bytes in position %zu-%zu: %s", codec_name(codec),
                     error.position, error.position + error.length - 1, error.reason);
        return bytes_throw_decode_error(
            request,
            &(bytes_decode_error){codec_name(codec), (int64_t)error.position, (int32_t)error.value,
                                  (int32_t)error.length, error.reason, message});
    }
    r = bytes_decode_return(request, text);
    free(text);
    return r;
}

int bytes_start(ferry_client *client, ferry_error *reterr) {
    static const bytes_handlers handlers = {
        .octets = octets, .numbers = numbers, .encode = encode, .decode = decode};

    return bytes_serve(client, &handlers, NULL, NULL, NULL, reterr);
}
