/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Converts JSON text to MessagePack and back, and shows the position of errors in malformed text.
 *
 *     json-client           the lesson
 *     json-client TEXT...   your own
 */

#include <inttypes.h>

#include "json.h"

static int show(ferry_client *client, const char *text, bool ensure_ascii, ferry_error *error) {
    FERRY_AUTO(ferry_free) ferry_bytes *value = NULL;
    char *again;
    int r = json_loads(client, text, &value, error);

    if (r == -EREMOTEIO) {
        printf("%s\n    %s: %s\n", text, error->type, error->message);
        ferry_error_clear(error);
        return 0;
    }
    if (r == 0)
        r = json_dumps(client, *value, ensure_ascii, &again, error);
    if (r == 0) {
        printf("%s\n    %zu octets of MessagePack; %s%s\n", text, value->len,
               ensure_ascii ? "" : "ensure_ascii=false: ", again);
        ferry_free(again);
    }
    return r;
}

static int lesson(ferry_client *client, ferry_error *error) {
    static const char *const texts[] = {
        "[1, 2, 3, \"ABC\", \"αβγ\", \"你好\"]",
        "{\"username\":\"admin\",\"password\":\"admin\"}",
        "[9007199254740993, 18446744073709551615, -9223372036854775808, 0.1, 1e2]",
        "18446744073709551616",
        "[1, NaN]",
        "{\"a\": 1,\n \"b\" 2}",
    };
    int r = show(client, texts[0], false, error);

    for (size_t i = 0; r == 0 && i < sizeof(texts) / sizeof(texts[0]); i++)
        r = show(client, texts[i], true, error);
    return r;
}

int main(int argc, char **argv) {
    FERRY_AUTO(ferry_close) ferry_client *client = NULL;
    FERRY_AUTO(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    int r = ferry_open(NULL, &(ferry_options){.name = "json-client"}, &client, &error);

    if (r == 0 && argc < 2)
        r = lesson(client, &error);
    for (int i = 1; r == 0 && i < argc; i++)
        r = show(client, argv[i], true, &error);
    if (r < 0)
        ferry_error_print(&error, stderr);
    return r < 0;
}
