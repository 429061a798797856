/* SPDX-License-Identifier: Apache-2.0 */

/* Encodes messages to bytes and decodes them again: codec.c as a service. */

#include <inttypes.h>
#include <stdlib.h>

#include "codec.h"
#include "server.h"

static const framing_settings default_settings = FRAMING_SETTINGS_INIT;

/* ---- encoding ---- */

static int encode(ferry_request *request, framing_pattern pattern,
                  const ferry_list_binary *messages, const framing_settings *settings, void *ctx) {
    const framing_settings *s = settings ? settings : &default_settings;
    Bytes bytes = {NULL, 0, 0};
    int64_t value;
    const char *wrong = framing_check(pattern, s, &value);
    int r = 0;

    (void)ctx;
    if (wrong)
        return framing_throw_bad_settings(request, &(framing_bad_settings){wrong, value});
    for (size_t i = 0; i < messages->n && !wrong && r == 0; i++) {
        const ferry_bytes *message = &messages->v[i];

        if (message->len > (size_t)s->limit) {
            free(bytes.data);
            return framing_throw_too_long(
                request, &(framing_too_long){(int64_t)i, (int64_t)bytes.len, (int64_t)message->len,
                                             s->limit, "a message is larger than the limit"});
        }
        wrong = encode_message(&bytes, pattern, s, i, *message, &r);
        if (wrong)
            r = framing_throw_not_encodable(request, &(framing_not_encodable){(int32_t)i, wrong});
    }
    if (r == 0 && !wrong)
        r = framing_encode_return(request,
                                  ferry_bytes_of(bytes.data ? bytes.data : (void *)"", bytes.len));
    free(bytes.data);
    return r;
}

/* ---- decoding ---- */

static int yield(const void *data, size_t len, void *request) {
    return framing_decode_yield(request, ferry_bytes_of(data ? data : "", len));
}

static int too_long(ferry_request *request, const Decoder *d) {
    char message[128];

    snprintf(message, sizeof(message), "a message of %" PRIu64 " bytes: at most %d are taken",
             d->too_long, d->settings.limit);
    return framing_throw_too_long(
        request, &(framing_too_long){(int64_t)d->messages, (int64_t)d->offset, (int64_t)d->too_long,
                                     d->settings.limit, message});
}

static int truncated(ferry_request *request, const Decoder *d) {
    framing_truncated cut = {(int64_t)d->messages, (int64_t)d->offset, NULL, 0, NULL};
    char message[128];
    int64_t expected;

    if (decoder_missing(d, &expected, &cut.received)) {
        cut.expected = &expected;
        snprintf(message, sizeof(message), "expected %" PRId64 " bytes but only received %" PRId64,
                 expected, cut.received);
    } else {
        snprintf(message, sizeof(message), "%" PRId64 " bytes without a delimiter", cut.received);
    }
    cut.message = message;
    return framing_throw_truncated(request, &cut);
}

static int decode(ferry_request *request, framing_pattern pattern, const framing_settings *settings,
                  void *ctx) {
    Decoder decoder;
    ferry_bytes *piece;
    int64_t value;
    int r;
    const char *wrong = framing_check(pattern, settings ? settings : &default_settings, &value);

    (void)ctx;
    if (wrong)
        return framing_throw_bad_settings(request, &(framing_bad_settings){wrong, value});
    decoder_init(&decoder, pattern, settings ? settings : &default_settings);
    while ((r = framing_decode_receive(request, &piece)) > 0) {
        r = decoder_feed(&decoder, piece->data, piece->len, yield, request);
        ferry_free(piece);
        if (r != 0)
            break;
    }
    if (r == 0)
        r = decoder_finish(&decoder, yield, request);
    if (r == 0)
        r = framing_decode_return(request);
    else if (r == FRAMING_TOO_LONG)
        r = too_long(request, &decoder);
    else if (r == FRAMING_TRUNCATED)
        r = truncated(request, &decoder);
    else
        r = ferry_request_fail(request, r, NULL);
    decoder_deinit(&decoder);
    return r;
}

int framing_start(ferry_client *client, ferry_error *reterr) {
    static const framing_handlers handlers = {.encode = encode, .decode = decode};

    return framing_serve(client, &handlers, NULL, NULL, NULL, reterr);
}
