/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shows a number in both byte orders, and which numbers do not fit.
 *
 *     endian-client [NUMBER]   default 324508366
 */

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>

#include "endian-api.h"

/* As Python prints bytes. */
static void print_bytes(const ferry_bytes *bytes) {
    const unsigned char *data = bytes->data;

    printf("b'");
    for (size_t i = 0; i < bytes->len; i++)
        printf(isprint(data[i]) && data[i] != '\'' && data[i] != '\\' ? "%c" : "\\x%02x", data[i]);
    printf("'");
}

/* Packs one number and unpacks it again. */
static int show(ferry_client *client, const char *name, const char *format, int64_t number,
                ferry_error *error) {
    const endian_value value = {.which = ENDIAN_VALUE_WHOLE, .whole = number};
    FERRY_AUTO(ferry_free) ferry_bytes *octets = NULL;
    FERRY_AUTO(ferry_free) endian_list_value *back = NULL;
    int r = endian_pack(client, format, &(endian_list_value){1, &value}, &octets, error);

    if (r == 0)
        r = endian_unpack(client, format, *octets, &back, error);
    if (r < 0)
        return r;
    printf("    %-13s %s  ", name, format);
    print_bytes(octets);
    printf("  (%" PRId64 ",)\n", back->v[0].whole);
    return 0;
}

/* Shows that for a number that does not fit, the error has the range of the code. */
static int show_range(ferry_client *client, const char *format, int64_t number,
                      ferry_error *error) {
    const endian_value value = {.which = ENDIAN_VALUE_WHOLE, .whole = number};
    FERRY_AUTO(ferry_free) ferry_bytes *octets = NULL;
    int r = endian_pack(client, format, &(endian_list_value){1, &value}, &octets, error);

    if (r != -EREMOTEIO || !endian_out_of_range_in(error))
        return r < 0 ? r : -EPROTO;
    printf("    %" PRId64 ": %s\n", number, error->message);
    ferry_error_clear(error);
    return 0;
}

int main(int argc, char **argv) {
    FERRY_AUTO(ferry_close) ferry_client *client = NULL;
    FERRY_AUTO(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    int64_t number = argc > 1 ? strtoll(argv[1], NULL, 0) : 324508366;
    int r = ferry_open(NULL, &(ferry_options){.name = "endian-client"}, &client, &error);

    printf("%" PRId64 " is 0x%" PRIx64 "\n", number, (uint64_t)number);
    if (r == 0)
        r = show(client, "little-endian", "<i", number, &error);
    if (r == 0)
        r = show(client, "big-endian", ">i", number, &error);
    if (r == 0)
        r = show(client, "network order", "!I", number, &error);
    if (r == 0)
        r = show(client, "this machine", "=i", number, &error);
    printf("Numbers that do not fit\n");
    if (r == 0)
        r = show_range(client, "!I", -1, &error);
    if (r == 0)
        r = show_range(client, "<h", 40000, &error);
    if (r == 0)
        r = show_range(client, ">i", INT64_C(1) << 31, &error);
    if (r < 0)
        ferry_error_print(&error, stderr);
    return r < 0;
}
