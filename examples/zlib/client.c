/* SPDX-License-Identifier: Apache-2.0 */
/* Compresses a sentence, decompresses a stream in packets of eight bytes, and shows how malformed
 * input is refused. */

#include <ctype.h>

#include "zlib-api.h"

enum { PACKET = 8 };

/* As Python prints bytes. */
static void print_bytes(ferry_bytes bytes) {
    const unsigned char *data = bytes.data;

    printf("b'");
    for (size_t i = 0; i < bytes.len; i++)
        printf(isprint(data[i]) && data[i] != '\'' && data[i] != '\\' ? "%c" : "\\x%02x", data[i]);
    printf("'");
}

static int sentence(ferry_client *client, ferry_error *error) {
    FERRY_AUTO(ferry_free) ferry_bytes *small = NULL;
    FERRY_AUTO(ferry_free) zlib_extracted *back = NULL;
    char text[481] = "";
    int r;

    for (int i = 0; i < 10; i++)
        strcat(text, "This is an important sentence to be comporessed!");
    r = zlib_compress(client, ferry_str(text), -1, &small, error);
    if (r == 0)
        r = zlib_decompress(client, *small, ZLIB_LIMIT, &back, error);
    if (r == 0)
        printf("%zu bytes, compressed %zu, extracted %zu\n", strlen(text), small->len,
               back->data.len);
    return r;
}

/* The compressed alphabet in packets of eight bytes, followed by a word that is not part of it. */
static int packets(ferry_client *client, ferry_error *error) {
    FERRY_AUTO(ferry_free) ferry_bytes *small = NULL;
    FERRY_AUTO(ferry_stream_close) ferry_stream *stream = NULL;
    char so_far[64] = "", all[128];
    zlib_piece *piece;
    size_t len = 0;
    int r = zlib_compress(client, ferry_str("abcdefghijklmnopqrstuvwxyz"), -1, &small, error);

    if (r == 0)
        r = zlib_decompressobj(client, ZLIB_LIMIT, &stream, error);
    if (r == 0) {
        len = small->len;
        memcpy(all, small->data, len);
        memcpy(all + len, "Next", 4);
        len += 4;
    }
    for (size_t at = 0; r == 0 && at < len; at += PACKET)
        r = zlib_decompressobj_send(
            stream, ferry_bytes_of(all + at, len - at < PACKET ? len - at : PACKET), error);
    if (r == 0)
        r = zlib_decompressobj_end(stream, error);
    while (r == 0 && (r = zlib_decompressobj_next(stream, &piece, error)) > 0) {
        strncat(so_far, piece->data.data, piece->data.len);
        printf("b'%s' ", so_far);
        print_bytes(piece->unused_data);
        printf(piece->finished ? " finished\n" : "\n");
        ferry_free(piece);
        r = 0;
    }
    return r;
}

/* Shows how the server refuses a call. 0: it was refused, as expected. */
static int refused(ferry_client *client, const char *what, ferry_bytes data, int64_t limit,
                   ferry_error *error) {
    FERRY_AUTO(ferry_free) zlib_extracted *back = NULL;
    int r = zlib_decompress(client, data, limit, &back, error);

    if (r != -EREMOTEIO)
        return r < 0 ? r : -EPROTO;
    printf("%s: %s: %s\n", what, error->type, error->message);
    ferry_error_clear(error);
    return 0;
}

static int bad_input(ferry_client *client, ferry_error *error) {
    static const char zeros[8 * 1024 * 1024];
    FERRY_AUTO(ferry_free) ferry_bytes *hello = NULL;
    FERRY_AUTO(ferry_free) ferry_bytes *bomb = NULL;
    char broken[64];
    int r = zlib_compress(client, ferry_str("Hello World"), -1, &hello, error);

    if (r == 0)
        r = zlib_compress(client, ferry_bytes_of(zeros, sizeof(zeros)), 9, &bomb, error);
    if (r < 0)
        return r;
    print_bytes(*hello);
    printf("\n");
    memcpy(broken, hello->data, hello->len);
    r = refused(client, "its last byte is missing", ferry_bytes_of(broken, hello->len - 1),
                ZLIB_LIMIT, error);
    broken[hello->len - 1] ^= 1;
    if (r == 0)
        r = refused(client, "its last byte is wrong", ferry_bytes_of(broken, hello->len),
                    ZLIB_LIMIT, error);
    printf("%zu zeros are %zu bytes\n", sizeof(zeros), bomb->len);
    return r < 0 ? r : refused(client, "at most a million bytes of them", *bomb, 1000000, error);
}

int main(void) {
    FERRY_AUTO(ferry_close) ferry_client *client = NULL;
    FERRY_AUTO(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    int r = ferry_open(NULL, &(ferry_options){.name = "zlib-client"}, &client, &error);

    if (r == 0)
        r = sentence(client, &error);
    if (r == 0)
        r = packets(client, &error);
    if (r == 0)
        r = bad_input(client, &error);
    if (r < 0)
        ferry_error_print(&error, stderr);
    return r < 0;
}
