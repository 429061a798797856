/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Asks questions, or measures the throughput of a server's shape.
 *
 *     zen-client                    every question
 *     zen-client --rate SECONDS     a row of the table: calls/s with 64 callers at a time, for
 *                                   answers at once / after 5 ms of waiting / after 200 µs of work
 */

#include <stdlib.h>
#include <time.h>

#include "zen.h"

enum { CALLERS = 64 };

static int ask_all(ferry_client *client, ferry_error *error) {
    FERRY_AUTO(ferry_free) ferry_list_string *questions = NULL;
    const zen_unknown_question *unknown;
    char *answer;
    int r = zen_questions(client, &questions, error);

    for (size_t i = 0; r == 0 && i < questions->n; i++) {
        r = zen_answer(client, questions->v[i], NULL, NULL, &answer, error);
        if (r == 0) {
            printf("%s %s\n", questions->v[i], answer);
            ferry_free(answer);
        }
    }
    if (r < 0)
        return r;
    r = zen_answer(client, "Fast is better than?", NULL, NULL, &answer, error);
    if (r < 0 && (unknown = zen_unknown_question_in(error))) {
        printf("%s I do not know; but I know %zu others\n", unknown->question, unknown->known.n);
        return 0;
    }
    return r;
}

/* ---- rates ---- */

typedef struct Load {
    ferry_client *client;
    int32_t wait_ms, work_us;
    double ends;
    unsigned running;
    unsigned long answered, failed;
} Load;

static double seconds(void) {
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void on_answer(const char *answer, const ferry_error *error, void *ctx);

static void ask(Load *load) {
    if (zen_answer_async(load->client, "Simple is better than?", &load->wait_ms, &load->work_us,
                         on_answer, load, NULL) == 0)
        load->running++;
    else
        load->failed++;
}

static void on_answer(const char *answer, const ferry_error *error, void *ctx) {
    Load *load = ctx;

    (void)answer;
    load->running--;
    if (error)
        load->failed++;
    else
        load->answered++;
    if (seconds() < load->ends)
        ask(load);
    else if (load->running == 0)
        ferry_stop(load->client);
}

/* Calls per second, or a negative errno. */
static double rate(ferry_client *client, double lasts_s, int32_t wait_ms, int32_t work_us,
                   ferry_error *error) {
    Load load = {client, wait_ms, work_us, seconds() + lasts_s, 0, 0, 0};
    double started = seconds();
    int r;

    for (unsigned i = 0; i < CALLERS; i++)
        ask(&load);
    r = ferry_run(client, error);
    if (load.failed > 0)
        fprintf(stderr, "%lu calls failed\n", load.failed);
    return r < 0 ? r : (double)load.answered / (seconds() - started);
}

int main(int argc, char **argv) {
    FERRY_AUTO(ferry_close) ferry_client *client = NULL;
    FERRY_AUTO(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    int r = ferry_open(NULL, &(ferry_options){.name = "zen-client"}, &client, &error);

    if (r == 0 && argc > 2 && strcmp(argv[1], "--rate") == 0) {
        double lasts_s = atof(argv[2]);
        double at_once = rate(client, lasts_s, 0, 0, &error);
        double waiting = rate(client, lasts_s, 5, 0, &error);
        double working = rate(client, lasts_s, 0, 200, &error);

        printf("%10.0f %10.0f %10.0f\n", at_once, waiting, working);
    } else if (r == 0) {
        r = ask_all(client, &error);
    }
    if (r < 0)
        ferry_error_print(&error, stderr);
    return r < 0;
}
