/* SPDX-License-Identifier: Apache-2.0 */
/* Writes several objects one after another, reads them back from a stream of small pieces with
 * their offsets, and shows the errors for malformed octets. */

#include <ctype.h>
#include <inttypes.h>
#include <msgpack.h>

#include "serial.h"

enum { PIECE = 3 };

static void print_bytes(ferry_bytes bytes) {
    const unsigned char *data = bytes.data;

    printf("b'");
    for (size_t i = 0; i < bytes.len; i++)
        printf(isprint(data[i]) && data[i] != '\'' && data[i] != '\\' ? "%c" : "\\x%02x", data[i]);
    printf("'");
}

/* As msgpack-c prints it. */
static void print_object(ferry_bytes packed) {
    msgpack_unpacked unpacked;

    msgpack_unpacked_init(&unpacked);
    if (msgpack_unpack_next(&unpacked, packed.data, packed.len, NULL) == MSGPACK_UNPACK_SUCCESS)
        msgpack_object_print(stdout, unpacked.data);
    msgpack_unpacked_destroy(&unpacked);
}

/* Reads a stream in small pieces. -EREMOTEIO is shown, too. */
static int load(ferry_client *client, ferry_bytes octets, int32_t count, ferry_error *error) {
    FERRY_AUTO(ferry_stream_close) ferry_stream *stream = NULL;
    char rest[64]; /* as many as are sent */
    size_t n_rest = 0;
    serial_item *item;
    int r = serial_load(client, count, &stream, error);

    for (size_t at = 0; r == 0 && at < octets.len; at += PIECE)
        r = serial_load_send(stream,
                             ferry_bytes_of((const char *)octets.data + at,
                                            octets.len - at < PIECE ? octets.len - at : PIECE),
                             error);
    if (r == 0)
        r = serial_load_end(stream, error);
    while (r >= 0 && (r = serial_load_next(stream, &item, error)) > 0) {
        if (item->which == SERIAL_ITEM_OBJECT) {
            printf("    %" PRId64 " to %" PRId64 ": ", item->object.offset, item->object.end);
            print_object(item->object.packed);
            printf("\n");
        } else {
            memcpy(rest + n_rest, item->unread.data, item->unread.len);
            n_rest += item->unread.len;
        }
        ferry_free(item);
    }
    if (n_rest > 0) {
        printf("    unread: ");
        print_bytes(ferry_bytes_of(rest, n_rest));
        printf("\n");
    }
    if (r != -EREMOTEIO)
        return r;
    printf("    %s: %s\n", error->type, error->message);
    ferry_error_clear(error);
    return 0;
}

int main(void) {
    static const serial_value numbers[] = {{.which = SERIAL_VALUE_WHOLE, .whole = 1},
                                           {.which = SERIAL_VALUE_WHOLE, .whole = 2},
                                           {.which = SERIAL_VALUE_WHOLE, .whole = 3}};
    static const serial_value list = {.which = SERIAL_VALUE_ITEMS, .items = {3, numbers}};
    static const serial_value text = {.which = SERIAL_VALUE_TEXT, .text = "αβγ"};
    FERRY_AUTO(ferry_close) ferry_client *client = NULL;
    FERRY_AUTO(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    FERRY_AUTO(ferry_free) ferry_bytes *first = NULL;
    FERRY_AUTO(ferry_free) ferry_bytes *second = NULL;
    char octets[64];
    size_t len = 0;
    int r = ferry_open(NULL, &(ferry_options){.name = "serial-client"}, &client, &error);

    if (r == 0)
        r = serial_dumps(client, &list, &first, &error);
    if (r == 0)
        r = serial_dumps(client, &text, &second, &error);
    if (r == 0) {
        memcpy(octets, first->data, first->len);
        memcpy(octets + first->len, second->data, second->len);
        len = first->len + second->len;
        printf("[1, 2, 3] is ");
        print_bytes(*first);
        printf("\nTwo objects, then 'Hello World'; two are asked for\n");
        memcpy(octets + len, "Hello World", 11);
        r = load(client, ferry_bytes_of(octets, len + 11), 2, &error);
    }
    if (r == 0) {
        printf("Two objects and an octet that begins no other\n");
        octets[len] = (char)0xc1;
        r = load(client, ferry_bytes_of(octets, len + 1), 0, &error);
    }
    if (r == 0) {
        printf("Two objects, the last octet is missing\n");
        r = load(client, ferry_bytes_of(octets, len - 1), 0, &error);
    }
    if (r < 0)
        ferry_error_print(&error, stderr);
    return r < 0;
}
