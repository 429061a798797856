/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sends the same three messages by each of the six patterns, cut at random places, and prints what
 * arrives; then leaves out the last byte.
 */

#include <inttypes.h>
#include <stdlib.h>

#include "framing.h"

/* Feeds bytes in pieces of 1 to 7, up to `len` of them. */
static int send_pieces(ferry_stream *stream, const ferry_bytes *bytes, size_t len,
                       ferry_error *error) {
    const char *data = bytes->data;
    int r = 0;

    for (size_t at = 0, n; r == 0 && at < len; at += n) {
        n = (size_t)rand() % 7 + 1;
        n = n < len - at ? n : len - at;
        r = framing_decode_send(stream, ferry_bytes_of(data + at, n), error);
    }
    return r == 0 ? framing_decode_end(stream, error) : r;
}

static int decode(ferry_client *client, framing_pattern pattern, const framing_settings *settings,
                  const ferry_bytes *bytes, size_t len, ferry_error *error) {
    FERRY_AUTO(ferry_stream_close) ferry_stream *stream = NULL;
    ferry_bytes *message;
    int r = framing_decode(client, pattern, settings, &stream, error);

    if (r == 0)
        r = send_pieces(stream, bytes, len, error);
    while (r >= 0 && (r = framing_decode_next(stream, &message, error)) > 0) {
        printf(" '%.*s'", (int)message->len, (const char *)message->data);
        ferry_free(message);
    }
    return r;
}

static int show(ferry_client *client, framing_pattern pattern, ferry_error *error) {
    static const char *const texts[] = {"1234567890", "abcdefghij", "quick fox."};
    ferry_bytes v[] = {ferry_str(texts[0]), ferry_str(texts[1]), ferry_str(texts[2])};
    bool one = pattern == FRAMING_PATTERN_CLOSE || pattern == FRAMING_PATTERN_HALF_CLOSE;
    framing_settings settings = FRAMING_SETTINGS_INIT;
    FERRY_AUTO(ferry_free) ferry_bytes *bytes = NULL;
    const framing_truncated *cut;
    int64_t announced;
    int r;

    settings.length = 10;
    r = framing_encode(client, pattern, &(ferry_list_binary){one ? 1 : 3, v}, &settings, &bytes,
                       error);
    if (r < 0)
        return r;
    announced = (int64_t)bytes->len;
    settings.announced = one ? &announced : NULL;
    printf("%-15s %2zu bytes:", framing_pattern_name(pattern), bytes->len);
    r = decode(client, pattern, &settings, bytes, bytes->len, error);
    printf("\n%25s:", "without the last one");
    if (r == 0)
        r = decode(client, pattern, &settings, bytes, bytes->len - 1, error);
    if (r < 0 && (cut = framing_truncated_in(error))) {
        printf(" then, in message %" PRId64 " at byte %" PRId64 ", %s\n", cut->messages,
               cut->offset, error->message);
        return 0;
    }
    return r;
}

int main(void) {
    FERRY_AUTO(ferry_close) ferry_client *client = NULL;
    FERRY_AUTO(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    int r = ferry_open(NULL, &(ferry_options){.name = "framing-client"}, &client, &error);

    for (framing_pattern p = FRAMING_PATTERN_CLOSE; r == 0 && p <= FRAMING_PATTERN_BLOCKS; p++)
        r = show(client, p, &error);
    if (r < 0)
        ferry_error_print(&error, stderr);
    return r < 0;
}
