/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shows octets and text, and how errors are handled; or converts a text of the command line.
 *
 *     bytes-client                          the lesson
 *     bytes-client TEXT WRITTEN READ        e.g. '你好' UTF_8 GBK: written by one, read by another
 */

#include <ctype.h>

#include "bytes.h"

/* As Python prints bytes. */
static void print_bytes(const ferry_bytes *bytes) {
    const unsigned char *data = bytes->data;

    printf("b'");
    for (size_t i = 0; i < bytes->len; i++)
        printf(isprint(data[i]) && data[i] != '\'' && data[i] != '\\' ? "%c" : "\\x%02x", data[i]);
    printf("'\n");
}

static int show_octets(ferry_client *client, ferry_error *error) {
    static const int32_t same[] = {0x61, 0141, 97, 97};
    FERRY_AUTO(ferry_free) ferry_bytes *octets = NULL;
    FERRY_AUTO(ferry_free) ferry_list_i32 *numbers = NULL;
    int r = bytes_octets(client, &(ferry_list_i32){4, same}, &octets, error);

    if (r == 0)
        r = bytes_numbers(client, *octets, &numbers, error);
    if (r < 0)
        return r;
    print_bytes(octets);
    for (size_t i = 0; i < numbers->n; i++)
        printf("%s%d%s", i ? ", " : "[", numbers->v[i], i + 1 < numbers->n ? "" : "]\n");
    return 0;
}

static int decode(ferry_client *client, ferry_bytes octets, bytes_codec codec, bytes_errors errors,
                  ferry_error *error) {
    char *text;
    int r = bytes_decode(client, octets, codec, errors, &text, error);

    if (r == -EREMOTEIO && bytes_decode_error_in(error)) {
        printf("%s: %s\n", error->type, error->message);
        ferry_error_clear(error);
        return 0;
    }
    if (r == 0) {
        printf("'%s'\n", text);
        ferry_free(text);
    }
    return r;
}

static int encode(ferry_client *client, const char *text, bytes_codec codec, bytes_errors errors,
                  ferry_error *error) {
    FERRY_AUTO(ferry_free) ferry_bytes *octets = NULL;
    int r = bytes_encode(client, text, codec, errors, &octets, error);

    if (r == -EREMOTEIO && bytes_encode_error_in(error)) {
        printf("%s: %s\n", error->type, error->message);
        ferry_error_clear(error);
        return 0;
    }
    if (r == 0)
        print_bytes(octets);
    return r;
}

/* Written with one codec, read with another. */
static int misread(ferry_client *client, const char *text, bytes_codec written, bytes_codec read,
                   ferry_error *error) {
    FERRY_AUTO(ferry_free) ferry_bytes *octets = NULL;
    int r = bytes_encode(client, text, written, BYTES_ERRORS_STRICT, &octets, error);

    if (r < 0)
        return r;
    printf("'%s' written as %s, read as %s: ", text, bytes_codec_name(written),
           bytes_codec_name(read));
    return decode(client, *octets, read, BYTES_ERRORS_STRICT, error);
}

static bytes_codec codec_of(const char *name) {
    bytes_codec codec = BYTES_CODEC_ASCII;

    while (bytes_codec_name(codec) && strcmp(bytes_codec_name(codec), name) != 0)
        codec++;
    return codec;
}

static int lesson(ferry_client *client, ferry_error *error) {
    int r = show_octets(client, error);

    if (r == 0)
        r = decode(client, ferry_str("Hello World!"), BYTES_CODEC_ASCII, BYTES_ERRORS_STRICT,
                   error);
    if (r == 0)
        r = misread(client, "你好，世界！", BYTES_CODEC_UTF_8, BYTES_CODEC_GBK, error);
    for (bytes_errors e = BYTES_ERRORS_STRICT; r == 0 && e <= BYTES_ERRORS_IGNORE; e++) {
        printf("%-7s  0x80 as ASCII: ", bytes_errors_name(e));
        r = decode(client, ferry_str("\x80"), BYTES_CODEC_ASCII, e, error);
        if (r == 0) {
            printf("%-7s  'α' as LATIN_1: ", bytes_errors_name(e));
            r = encode(client, "α", BYTES_CODEC_LATIN_1, e, error);
        }
    }
    for (bytes_codec codec = BYTES_CODEC_UTF_8; r == 0 && codec <= BYTES_CODEC_UTF_16; codec++) {
        printf("'é' as %s: ", bytes_codec_name(codec));
        r = encode(client, "é", codec, BYTES_ERRORS_STRICT, error);
    }
    return r;
}

int main(int argc, char **argv) {
    FERRY_AUTO(ferry_close) ferry_client *client = NULL;
    FERRY_AUTO(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    int r = ferry_open(NULL, &(ferry_options){.name = "bytes-client"}, &client, &error);

    if (r == 0)
        r = argc == 4 ? misread(client, argv[1], codec_of(argv[2]), codec_of(argv[3]), &error)
                      : lesson(client, &error);
    if (r < 0)
        ferry_error_print(&error, stderr);
    return r < 0;
}
