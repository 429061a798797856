/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls the roll.
 *
 *     rollcall-client [WINDOW_MS [QUESTION]]   default 500 "Who is here?"
 */

#include <inttypes.h>
#include <stdlib.h>

#include "rollcall.h"

static void on_answer(const ferry_message *answer, void *ctx) {
    FERRY_AUTO(ferry_free) rollcall_card *card = NULL;
    unsigned *n = ctx;

    if (rollcall_card_unpack(answer->body, &card, NULL) < 0)
        return;
    ++*n;
    printf("  %s, process %" PRId32 " on %s\n", card->name, card->pid, card->host);
}

int main(int argc, char **argv) {
    FERRY_AUTO(ferry_close) ferry_client *client = NULL;
    FERRY_AUTO(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    uint32_t window_ms = argc > 1 ? (uint32_t)atoi(argv[1]) : 500;
    const char *question = argc > 2 ? argv[2] : "Who is here?";
    unsigned n = 0;

    printf("%s\n", question);
    if (ferry_open(NULL, &(ferry_options){.name = "rollcall-client"}, &client, &error) < 0 ||
        ferry_gather(client, ROLLCALL_TOPIC, ferry_str(question), window_ms, on_answer, &n,
                     &error) < 0) {
        ferry_error_print(&error, stderr);
        return 1;
    }
    printf("%u answered within %u ms\n", n, window_ms);
    return 0;
}
