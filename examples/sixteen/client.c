/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sends sixteen octets and prints the sixteen octets of the answer; then deliberately sends too
 * few.
 *
 *     sixteen-client [OCTETS]   default 1010101010101010
 */

#include "sixteen.h"

/* Sends the octets as one argument. */
static int exchange(ferry_client *client, const char *octets, ferry_error *error) {
    FERRY_AUTO(ferry_free) ferry_bytes *reply = NULL;
    int r;

    printf("Sending to the server: %s\n", octets);
    r = sixteen_exchange(client, ferry_str(octets), &reply, error);
    if (r == 0)
        printf("The server replied: %.*s\n", (int)reply->len, (const char *)reply->data);
    return r;
}

/* Sends the octets one by one: the size of the pieces makes no difference. */
static int collect(ferry_client *client, const char *octets, size_t n, ferry_error *error) {
    FERRY_AUTO(ferry_stream_close) ferry_stream *stream = NULL;
    FERRY_AUTO(ferry_free) ferry_bytes *reply = NULL;
    int r = sixteen_collect(client, &stream, error);

    printf("Sending %zu of them, one at a time\n", n);
    for (size_t i = 0; r == 0 && i < n; i++)
        r = sixteen_collect_send(stream, ferry_bytes_of(octets + i, 1), error);
    if (r == 0)
        r = sixteen_collect_end(stream, &reply, error);
    if (r == 0)
        printf("The server replied: %.*s\n", (int)reply->len, (const char *)reply->data);
    return r;
}

int main(int argc, char **argv) {
    FERRY_AUTO(ferry_close) ferry_client *client = NULL;
    FERRY_AUTO(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    const char *octets = argc > 1 ? argv[1] : "1010101010101010";
    size_t n = strlen(octets);
    const sixteen_short_input *cut;

    if (ferry_open(NULL, &(ferry_options){.name = "sixteen-client"}, &client, &error) < 0 ||
        exchange(client, octets, &error) < 0 || collect(client, octets, n, &error) < 0) {
        ferry_error_print(&error, stderr);
        return 1;
    }
    if (collect(client, octets, n / 2, &error) < 0 && (cut = sixteen_short_input_in(&error))) {
        printf("Refused: expected %d, received %d: %s\n", cut->expected, cut->received,
               error.message);
        return 0;
    }
    ferry_error_print(&error, stderr);
    return 1;
}
