/* SPDX-License-Identifier: Apache-2.0 */

/* Answers when the roll is called. $ROLLCALL_NAME is its name, if there is one. */

#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "rollcall.h"
#include "server.h"

typedef struct Member {
    char name[64], host[65];
    int64_t since_ms;
} Member;

static int64_t now_ms(void) {
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static rollcall_card card_of(const Member *me) {
    return (rollcall_card){me->name, me->host, (int32_t)getpid(), now_ms() - me->since_ms};
}

static void on_question(const ferry_message *question, void *ctx) {
    rollcall_card card = card_of(ctx);
    ferry_bytes body;

    if (rollcall_card_pack(&card, &body, NULL) == 0) {
        ferry_message_answer(question, body); /* the answer goes only to the client that asked */
        ferry_free(body.block);
    }
}

/* ---- for the shell: gathers on behalf of a caller ---- */

typedef struct Roll {
    size_t n, size;
    rollcall_card **blocks, *cards;
} Roll;

static void on_card(const ferry_message *answer, void *ctx) {
    Roll *roll = ctx;
    rollcall_card *card;

    if (roll->n == roll->size || rollcall_card_unpack(answer->body, &card, NULL) < 0)
        return; /* an answer that is not a card does not count */
    roll->blocks[roll->n] = card;
    roll->cards[roll->n++] = *card;
}

static int call(ferry_request *request, const char *question, const int32_t *window_ms, void *ctx) {
    enum { CARDS_MAX = 1000 };
    FERRY_AUTO(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    Roll roll = {0, CARDS_MAX, NULL, NULL};
    int r = -ENOMEM;

    if (*window_ms < 1 || *window_ms > 10000)
        return rollcall_throw_bad_window(request, &(rollcall_bad_window){*window_ms});
    roll.blocks = calloc(CARDS_MAX, sizeof(*roll.blocks));
    roll.cards = calloc(CARDS_MAX, sizeof(*roll.cards));
    /* This server is present, too, but cannot answer its own question: this handler runs on its
     * only thread.
     */
    if (roll.blocks && roll.cards)
        roll.cards[roll.n++] = card_of(ctx);
    if (roll.n > 0)
        r = ferry_gather(ferry_request_client(request), ROLLCALL_TOPIC, ferry_str(question),
                         (uint32_t)*window_ms, on_card, &roll, &error);
    r = r < 0 ? ferry_request_fail(request, r, &error)
              : rollcall_call_return(request, &(rollcall_list_card){roll.n, roll.cards});
    while (roll.n > 0)
        ferry_free(roll.blocks[--roll.n]);
    free(roll.blocks);
    free(roll.cards);
    return r;
}

int rollcall_start(ferry_client *client, ferry_error *reterr) {
    static const rollcall_handlers handlers = {.call = call};
    static Member me;
    const char *name = getenv("ROLLCALL_NAME");
    int r;

    snprintf(me.name, sizeof(me.name), "%s", name && *name ? name : "nameless");
    gethostname(me.host, sizeof(me.host) - 1);
    me.since_ms = now_ms();
    r = ferry_subscribe(client, ROLLCALL_TOPIC, NULL, on_question, &me, NULL, reterr);
    return r < 0 ? r : rollcall_serve(client, &handlers, NULL, &me, NULL, reterr);
}
