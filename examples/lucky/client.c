/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Draws a lucky number. If no answer comes, it asks again and waits twice as long.
 *
 *     lucky-client                      one draw, each wait shown
 *     lucky-client DRAWS SHARE [SEED]   many at once, while SHARE of them (0 to 1) gets lost
 */

#include <math.h>
#include <stdlib.h>

#include "lucky.h"

enum { TRIES = 6 };

static const uint32_t patience_ms[TRIES] = {100, 200, 400, 800, 1600, 3200};

typedef struct Lab {
    ferry_client *client, *patient[TRIES]; /* the same connection, with growing patience */
    unsigned running, answered, given_up, failed;
    unsigned long tries;
} Lab;

typedef struct Draw {
    Lab *lab;
    unsigned tries;
} Draw;

/* ---- one draw ---- */

static int draw_once(Lab *lab, ferry_error *error) {
    double number;
    int r = -ETIMEDOUT;

    for (unsigned i = 0; i < TRIES && r == -ETIMEDOUT; i++) {
        printf("Waiting up to %.1f seconds for a reply\n", patience_ms[i] / 1000.0);
        fflush(stdout);
        r = lucky_draw(lab->patient[i], &number, error);
    }
    if (r == 0)
        printf("The server replied: your lucky number is %.16f\n", number);
    return r;
}

/* ---- many ---- */

static void ask(Draw *draw);

static void on_number(double number, const ferry_error *error, void *ctx) {
    Draw *draw = ctx;
    Lab *lab = draw->lab;

    (void)number;
    if (error && error->code == -ETIMEDOUT && draw->tries < TRIES) {
        ask(draw);
        return;
    }
    lab->answered += !error;
    lab->given_up += error && error->code == -ETIMEDOUT;
    lab->failed += error && error->code != -ETIMEDOUT;
    if (--lab->running == 0)
        ferry_stop(lab->client);
}

static void ask(Draw *draw) {
    Lab *lab = draw->lab;
    ferry_client *patient = lab->patient[draw->tries++];

    lab->tries++;
    if (lucky_draw_async(patient, on_number, draw, NULL) < 0) {
        lab->failed++;
        lab->running--;
    }
}

static int draw_many(Lab *lab, unsigned n, double share, int64_t seed, ferry_error *error) {
    double expected = share < 1 ? (1 - pow(share, TRIES)) / (1 - share) : TRIES;
    Draw *draws = calloc(n, sizeof(*draws));
    int r = draws ? lucky_lose(lab->client, share, &seed, error) : -ENOMEM;

    lab->running = n;
    for (unsigned i = 0; r == 0 && i < n; i++) {
        draws[i].lab = lab;
        ask(&draws[i]);
    }
    if (r == 0 && lab->running > 0)
        r = ferry_run(lab->client, error);
    if (r == 0) {
        printf("%u draws, %.0f %% of the tries lost: %u answered, %u given up, %u failed\n", n,
               100 * share, lab->answered, lab->given_up, lab->failed);
        printf("%.3f tries a draw; by the arithmetic of %d tries (1 - p^%d) / (1 - p) = %.3f\n",
               (double)lab->tries / n, TRIES, TRIES, expected);
        r = lucky_lose(lab->client, 0, NULL, error);
    }
    free(draws);
    return r;
}

int main(int argc, char **argv) {
    FERRY_AUTO(ferry_close) ferry_client *client = NULL;
    FERRY_AUTO(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    Lab lab = {NULL, {NULL}, 0, 0, 0, 0, 0};
    int r = ferry_open(NULL, &(ferry_options){.name = "lucky-client"}, &client, &error);

    lab.client = client;
    for (unsigned i = 0; i < TRIES && r == 0; i++)
        r = ferry_with(client, &(ferry_options){.timeout_ms = patience_ms[i]}, &lab.patient[i],
                       NULL);
    if (r == 0)
        r = argc < 3 ? draw_once(&lab, &error)
                     : draw_many(&lab, (unsigned)atoi(argv[1]), atof(argv[2]),
                                 argc > 3 ? atoll(argv[3]) : 1, &error);
    if (r < 0)
        ferry_error_print(&error, stderr);
    for (unsigned i = 0; i < TRIES; i++)
        ferry_close(lab.patient[i]);
    return r < 0 || lab.failed > 0;
}
