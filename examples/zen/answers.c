/* SPDX-License-Identifier: Apache-2.0 */

/* The answers of the server. Waiting and computing stand for real work. */

#include "answers.h"

#include <time.h>

#include "server.h"

static const struct {
    const char *question, *answer;
} zen[] = {
    {"Beautiful is better than?", "Ugly."},
    {"Explicit is better than?", "Implicit."},
    {"Simple is better than?", "Complex."},
};

enum { N_ZEN = sizeof(zen) / sizeof(zen[0]) };

static const char *const questions[N_ZEN] = {
    "Beautiful is better than?",
    "Explicit is better than?",
    "Simple is better than?",
};

static const ferry_list_string known = {N_ZEN, questions};

static double seconds(void) {
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void compute(int32_t us) {
    double until = seconds() + us / 1e6;

    while (us > 0 && seconds() < until)
        ;
}

static int answer(ferry_request *request, const char *question, const int32_t *wait_ms,
                  const int32_t *work_us, void *ctx) {
    later_fn *later = *(later_fn *const *)ctx;
    size_t i = 0;

    if (*wait_ms < 0 || *wait_ms > 1000 || *work_us < 0 || *work_us > 1000)
        return zen_throw_bad_pace(request, &(zen_bad_pace){*wait_ms, *work_us});
    while (i < N_ZEN && strcmp(zen[i].question, question) != 0)
        i++;
    if (i == N_ZEN)
        return zen_throw_unknown_question(request, &(zen_unknown_question){question, known});
    compute(*work_us);
    if (*wait_ms > 0 && later)
        return later(request, zen[i].answer, *wait_ms);
    if (*wait_ms > 0)
        nanosleep(&(struct timespec){*wait_ms / 1000, *wait_ms % 1000 * 1000000L}, NULL);
    return zen_answer_return(request, zen[i].answer);
}

static int list_questions(ferry_request *request, void *ctx) {
    (void)ctx;
    return zen_questions_return(request, &known);
}

int zen_offer(ferry_client *client, uint32_t slots, later_fn *later, ferry_error *reterr) {
    static const zen_handlers handlers = {.answer = answer, .questions = list_questions};
    static later_fn *in_use; /* one shape per process */

    in_use = later;
    return zen_serve(client, &handlers, &(ferry_serve_options){.slots = slots}, &in_use, NULL,
                     reterr);
}

int zen_start(ferry_client *client, ferry_error *reterr) {
    return zen_offer(client, 1, NULL, reterr);
}
