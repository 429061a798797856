/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "examples/stage.h"
#include "lucky.h"

/* ---- the hazard ---- */

static void a_udp_client_believes_any_stranger(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    int client = socket(AF_INET, SOCK_DGRAM, 0), stranger = socket(AF_INET, SOCK_DGRAM, 0);
    char reply[32] = "";

    CU_ASSERT_EQUAL(bind(client, (struct sockaddr *)&address, len), 0);
    CU_ASSERT_EQUAL(getsockname(client, (struct sockaddr *)&address, &len), 0);
    CU_ASSERT_EQUAL(sendto(stranger, "You are hacked!", 15, 0, (struct sockaddr *)&address, len),
                    15);
    CU_ASSERT_EQUAL(recv(client, reply, sizeof(reply) - 1, 0), 15);
    CU_ASSERT_STRING_EQUAL(reply, "You are hacked!");
    close(client);
    close(stranger);
}

/* ---- with ferry, which refuses such answers (see forged-replies.py) ---- */

static void a_draw_is_from_0_to_1(void) {
    Stage stage;

    stage_open(&stage, lucky_start);
    for (int i = 0; i < 100; i++) {
        double number = -1;

        CU_ASSERT_EQUAL(lucky_draw(stage.client, &number, &stage.error), 0);
        CU_ASSERT(number >= 0 && number < 1);
    }
    stage_close(&stage);
}

static void a_lost_draw_ends_at_its_deadline(void) {
    ferry_client *patient = NULL;
    uint64_t started_ms, taken_ms;
    double number;
    Stage stage;

    stage_open(&stage, lucky_start);
    CU_ASSERT_EQUAL(lucky_lose(stage.client, 1, NULL, &stage.error), 0);
    for (uint32_t wait_ms = 50; wait_ms <= 200; wait_ms *= 2) {
        CU_ASSERT_EQUAL(
            ferry_with(stage.client, &(ferry_options){.timeout_ms = wait_ms}, &patient, NULL), 0);
        started_ms = clock_ms();
        CU_ASSERT_EQUAL(lucky_draw(patient, &number, &stage.error), -ETIMEDOUT);
        taken_ms = clock_ms() - started_ms;
        CU_ASSERT(taken_ms + 1 >= wait_ms);
        CU_ASSERT_STRING_EQUAL(stage.error.type, "ferry.DeadlineExceeded");
        CU_ASSERT_TRUE(stage.error.outcome_unknown);
        ferry_close(patient);
    }
    CU_ASSERT_EQUAL(lucky_lose(stage.client, 0, NULL, &stage.error), 0);
    CU_ASSERT_EQUAL(lucky_draw(stage.client, &number, &stage.error), 0);
    stage_close(&stage);
}

static void an_invalid_share_is_refused(void) {
    const double bad[] = {-0.1, 1.1, NAN, INFINITY};
    Stage stage;

    stage_open(&stage, lucky_start);
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        const lucky_bad_share *e;

        CU_ASSERT_EQUAL(lucky_lose(stage.client, bad[i], NULL, &stage.error), -EREMOTEIO);
        e = lucky_bad_share_in(&stage.error);
        CU_ASSERT_PTR_NOT_NULL(e);
        CU_ASSERT(e && (e->share == bad[i] || (isnan(e->share) && isnan(bad[i]))));
    }
    stage_close(&stage);
}

/* ---- the arithmetic of trying again ---- */

enum { DRAWS = 1000, TRIES = 6 };

typedef struct Lab {
    ferry_client *patient[TRIES];
    int ended;
    unsigned long tries, answered;
} Lab;

typedef struct Draw {
    Lab *lab;
    unsigned tries;
} Draw;

static void ask(Draw *draw);

static void on_number(double number, const ferry_error *error, void *ctx) {
    Draw *draw = ctx;

    CU_ASSERT(error || (number >= 0 && number < 1));
    CU_ASSERT(!error || error->code == -ETIMEDOUT);
    if (error && draw->tries < TRIES) {
        ask(draw);
        return;
    }
    draw->lab->answered += !error;
    draw->lab->ended++;
}

static void ask(Draw *draw) {
    Lab *lab = draw->lab;

    lab->tries++;
    CU_ASSERT_EQUAL(lucky_draw_async(lab->patient[draw->tries++], on_number, draw, NULL), 0);
}

static void tries_are_as_many_as_the_arithmetic_says(void) {
    const double share = 0.7, expected = (1 - pow(share, TRIES)) / (1 - share);
    static Draw draws[DRAWS];
    Lab lab = {{NULL}, 0, 0, 0};
    lucky_score *score = NULL;
    double late;
    Stage stage;

    stage_open(&stage, lucky_start);
    /* Patience of 60 ms to 2 s: it takes a third of the example's time. */
    for (unsigned i = 0; i < TRIES; i++)
        CU_ASSERT_EQUAL(ferry_with(stage.client, &(ferry_options){.timeout_ms = 60u << i},
                                   &lab.patient[i], NULL),
                        0);
    CU_ASSERT_EQUAL(lucky_lose(stage.client, share, &(int64_t){1}, &stage.error), 0);
    for (int i = 0; i < DRAWS; i++) {
        draws[i] = (Draw){&lab, 0};
        ask(&draws[i]);
    }
    CU_ASSERT_TRUE(process_until(stage.client, &lab.ended, DRAWS));
    CU_ASSERT_EQUAL(lucky_counts(stage.client, &score, &stage.error), 0);
    CU_ASSERT_PTR_NOT_NULL_FATAL(score);
    CU_ASSERT(score->answered + score->lost <= (int64_t)lab.tries);
    /* An answer that comes too late, as on a busy machine, leads to one more try. */
    late = (double)lab.tries - (double)score->lost - (double)lab.answered;
    printf("(%.3f tries, %.3f expected, %.0f late) ", (double)lab.tries / DRAWS, expected, late);
    CU_ASSERT(late >= 0);
    CU_ASSERT((double)lab.tries > expected * 0.95 * DRAWS);
    CU_ASSERT((double)lab.tries < expected * (1.05 * DRAWS + late));
    ferry_free(score);
    for (unsigned i = 0; i < TRIES; i++)
        ferry_close(lab.patient[i]);
    stage_close(&stage);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(a_udp_client_believes_any_stranger),       TEST(a_draw_is_from_0_to_1),
        TEST(a_lost_draw_ends_at_its_deadline),         TEST(an_invalid_share_is_refused),
        TEST(tries_are_as_many_as_the_arithmetic_says), TESTS_END,
    };

    return run_suite("example lucky", tests);
}
