/* SPDX-License-Identifier: Apache-2.0 */

/* Draws lucky numbers, and loses some of them when told to. */

#include "server.h"
#include "lucky.h"

typedef struct Lucky {
    double share; /* of the draws that get lost */
    uint64_t numbers, losses;
    lucky_score score;
} Lucky;

/* From 0 to 1, 1 excluded (xorshift64*: a toy's dice, not a cipher's). */
static double dice(uint64_t *state) {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return (double)((*state * 0x2545F4914F6CDD1D) >> 11) / (double)(UINT64_C(1) << 53);
}

/* The caller of a lost draw has given up: release its slot now. */
static void given_up(ferry_request *request, void *ctx) {
    (void)ctx;
    ferry_request_fail(request, -ECANCELED, NULL);
}

static int draw(ferry_request *request, void *ctx) {
    Lucky *lucky = ctx;

    if (dice(&lucky->losses) < lucky->share) {
        lucky->score.lost++;
        request = ferry_request_defer(request);
        return request ? ferry_request_watch(request, given_up, NULL) : -ENOMEM;
    }
    lucky->score.answered++;
    return lucky_draw_return(request, dice(&lucky->numbers));
}

static int lose(ferry_request *request, double share, const int64_t *seed, void *ctx) {
    Lucky *lucky = ctx;

    if (!(share >= 0 && share <= 1)) /* nor is NaN */
        return lucky_throw_bad_share(request, &(lucky_bad_share){share});
    lucky->share = share;
    lucky->losses = (uint64_t)*seed * 2 + 1; /* 0 would stay 0 for ever */
    lucky->score = (lucky_score){0, 0};
    for (int i = 0; i < 8; i++) /* small seeds start alike */
        dice(&lucky->losses);
    return lucky_lose_return(request);
}

static int counts(ferry_request *request, void *ctx) {
    const Lucky *lucky = ctx;

    return lucky_counts_return(request, &lucky->score);
}

int lucky_start(ferry_client *client, ferry_error *reterr) {
    static const lucky_handlers handlers = {.draw = draw, .lose = lose, .counts = counts};
    static Lucky lucky = {.numbers = 88172645463325252, .losses = 1};

    /* Lost draws keep their slot until their callers give up. */
    return lucky_serve(client, &handlers, &(ferry_serve_options){.slots = 4096}, &lucky, NULL,
                       reterr);
}
