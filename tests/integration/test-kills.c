/* SPDX-License-Identifier: Apache-2.0 */

/* kill -9 of a server, of a worker, of the broker, each while it has work. */

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include <ferry/ferry.h>

#include "base/clock.h"
#include "support/faults.h"
#include "support/roles.h"
#include "support/suite.h"

enum { HELD = 100 };

/* ---- a server ---- */

typedef struct Answers {
    int n, n_good, n_lost, n_unknown;
} Answers;

static void on_answer(const ferry_reply *reply, const ferry_error *error, void *ctx) {
    Answers *answers = ctx;

    answers->n++;
    answers->n_good += reply != NULL;
    answers->n_lost += error && strcmp(error->type, "ferry.ServerLost") == 0;
    answers->n_unknown += error && error->outcome_unknown;
}

static void start_calls(ferry_client *client, Answers *answers) {
    for (int i = 0; i < HELD; i++)
        CU_ASSERT_EQUAL(ferry_call_async(client, "held.Calls.wait", ferry_str("\x90"), on_answer,
                                         answers, NULL),
                        0);
    ferry_process(client, NULL);
}

/* Runs turns until the role has printed the word. False: it did not. */
static bool told_while_turning(ferry_client *client, Process *process, const char *word, long n) {
    uint64_t until_ms = clock_ms() + PATIENCE_MS;

    while (clock_ms() < until_ms) {
        ferry_process(client, NULL);
        if (told_count(process, word, n, 5, NULL))
            return true;
    }
    return false;
}

static void callers_of_a_killed_server_have_an_error(void) {
    Answers answers = {0};
    ferry_client *client;
    Process server;
    Daemon broker;
    uint64_t start_us;

    daemon_start(&broker, NULL);
    role_start(&server, "hold", broker.url, NULL);
    CU_ASSERT_TRUE(told_count(&server, "ready", 0, PATIENCE_MS, NULL));
    client = open_with(broker.url, NULL);
    start_calls(client, &answers);
    CU_ASSERT_TRUE(told_while_turning(client, &server, "calls", HELD));
    CU_ASSERT_EQUAL(answers.n, 0);

    start_us = clock_us();
    process_end(&server, SIGKILL, PATIENCE_MS);
    CU_ASSERT_TRUE(turn_until(client, &answers.n, HELD, PATIENCE_MS));
    printf("\n    kill -9 of a server with %d calls: the last error after %.1f ms", HELD,
           (double)(clock_us() - start_us) / 1000);
    CU_ASSERT_EQUAL(answers.n_lost, HELD);
    CU_ASSERT_EQUAL(answers.n_unknown, HELD);
    ferry_close(client);
    daemon_end(&broker);
}

static int answer(ferry_request *request, void *ctx) {
    (void)ctx;
    return ferry_request_return(request, ferry_str("\xc3"));
}

static void idempotent_calls_of_a_killed_server_are_answered_by_another(void) {
    Answers answers = {0};
    ferry_client *client, *other;
    Process server;
    Daemon broker;
    uint64_t start_us;

    daemon_start(&broker, NULL);
    role_start(&server, "hold", broker.url, NULL);
    CU_ASSERT_TRUE(told_count(&server, "ready", 0, PATIENCE_MS, NULL));
    client = open_with(broker.url, &(ferry_options){.idempotent = true});
    start_calls(client, &answers);
    CU_ASSERT_TRUE(told_while_turning(client, &server, "calls", HELD));

    other = open_with(broker.url, NULL);
    CU_ASSERT_EQUAL(ferry_serve_method(other, "held.Calls.wait", NULL, answer, NULL, NULL, NULL),
                    0);
    start_us = clock_us();
    process_end(&server, SIGKILL, PATIENCE_MS);
    while (answers.n < HELD && clock_us() - start_us < PATIENCE_MS * 1000) {
        ferry_process(other, NULL);
        ferry_process(client, NULL);
    }
    printf("\n    and idempotent ones: the last answer after %.1f ms",
           (double)(clock_us() - start_us) / 1000);
    CU_ASSERT_EQUAL(answers.n_good, HELD);
    ferry_close(other);
    ferry_close(client);
    daemon_end(&broker);
}

/* ---- a worker ---- */

typedef struct Jobs {
    int n, n_second;
} Jobs;

static int on_job(ferry_job *job, void *ctx) {
    Jobs *jobs = ctx;

    jobs->n++;
    jobs->n_second += job->attempt == 2;
    return 0;
}

static void jobs_of_a_killed_worker_come_again(void) {
    ferry_client *client;
    Jobs jobs = {0};
    Process worker;
    Daemon broker;
    uint64_t start_us;

    daemon_start(&broker, NULL);
    role_start(&worker, "hold", broker.url, NULL);
    CU_ASSERT_TRUE(told_count(&worker, "ready", 0, PATIENCE_MS, NULL));
    client = open_with(broker.url, NULL);
    for (int i = 0; i < HELD; i++)
        ferry_push_async(client, "held", ferry_str("work"), NULL, NULL, NULL, NULL);
    CU_ASSERT_EQUAL(ferry_flush(client, NULL), 0);
    CU_ASSERT_TRUE(told_count(&worker, "jobs", HELD, PATIENCE_MS, NULL));

    CU_ASSERT_EQUAL(
        ferry_work(client, "held", &(ferry_work_options){.slots = HELD}, on_job, &jobs, NULL, NULL),
        0);
    start_us = clock_us();
    process_end(&worker, SIGKILL, PATIENCE_MS);
    CU_ASSERT_TRUE(turn_until(client, &jobs.n, HELD, PATIENCE_MS));
    printf("\n    kill -9 of a worker with %d jobs: the last came again after %.1f ms", HELD,
           (double)(clock_us() - start_us) / 1000);
    sleep_ms(50);
    ferry_process(client, NULL);
    CU_ASSERT_EQUAL(jobs.n, HELD);
    CU_ASSERT_EQUAL(jobs.n_second, HELD);
    ferry_close(client);
    daemon_end(&broker);
}

/* ---- the broker ---- */

enum { PUSHES = 3000 };

typedef struct Push {
    int confirmed; /* 1: before the kill, 2: after it */
    int stored;    /* number of its copies in the queue at the end */
} Push;

static Push pushes[PUSHES];
static int n_answered, n_refused, era;

static void on_pushed(const ferry_error *error, void *ctx) {
    n_answered++;
    n_refused += error != NULL;
    if (!error)
        ((Push *)ctx)->confirmed = era;
}

static int count_push(ferry_job *job, void *ctx) {
    char text[16] = "";

    memcpy(text, job->body.data, job->body.len < 15 ? job->body.len : 15);
    pushes[atoi(text)].stored++;
    ++*(int *)ctx;
    return 0;
}

static void push_number(ferry_client *client, int i) {
    char text[16];

    snprintf(text, sizeof(text), "%d", i);
    CU_ASSERT_EQUAL(
        ferry_push_async(client, "kept", ferry_str(text), NULL, on_pushed, &pushes[i], NULL), 0);
}

static void all_programs_resume_when_a_killed_broker_comes_back(void) {
    Process server, worker, listener;
    ferry_client *client;
    const char *line;
    Daemon broker;
    uint64_t start_us;
    long n;

    daemon_start(&broker, NULL);
    role_start(&server, "echo", broker.url, NULL);
    role_start(&worker, "work", broker.url, "done", NULL);
    role_start(&listener, "listen", broker.url, "news.*", NULL);
    CU_ASSERT_TRUE(told_count(&server, "ready", 0, PATIENCE_MS, NULL));
    CU_ASSERT_TRUE(told_count(&worker, "ready", 0, PATIENCE_MS, NULL));
    CU_ASSERT_TRUE(told_count(&listener, "ready", 0, PATIENCE_MS, NULL));
    client = open_with(broker.url, NULL);

    for (int round = 1; round <= 3; round++) {
        char text[16], wanted[40];

        daemon_kill(&broker);
        daemon_restart(&broker);
        start_us = clock_us();
        CU_ASSERT_TRUE(echo_answers_within(client, PATIENCE_MS));
        printf("\n    the broker killed and restarted: a call is answered after %.1f ms",
               (double)(clock_us() - start_us) / 1000);

        snprintf(text, sizeof(text), "%d", round);
        CU_ASSERT_EQUAL(ferry_push(client, "done", ferry_str(text), NULL, NULL), 0);
        CU_ASSERT_TRUE(told_count(&worker, "job", round, PATIENCE_MS, &n));
        CU_ASSERT_EQUAL(n, round);

        /* The subscription may be restored a little later than the call is answered. */
        snprintf(wanted, sizeof(wanted), "message %d ", round);
        line = NULL;
        for (int i = 0; i < 2400 && !(line && strstr(line, wanted)); i++) {
            ferry_publish(client, "news.today", ferry_str(text), NULL, NULL);
            line = told(&listener, 50);
        }
        snprintf(wanted, sizeof(wanted), "message %d missed -1", round);
        CU_ASSERT_PTR_NOT_NULL(line);
        if (line)
            CU_ASSERT_STRING_EQUAL(line, wanted);
    }
    ferry_close(client);
    process_end(&server, SIGKILL, PATIENCE_MS);
    process_end(&worker, SIGKILL, PATIENCE_MS);
    process_end(&listener, SIGKILL, PATIENCE_MS);
    daemon_end(&broker);
}

static void pushes_without_an_answer_reach_the_next_broker_once(void) {
    int before, again = 0, counted = 0, wrong = 0;
    ferry_client *client;
    Daemon broker;

    memset(pushes, 0, sizeof(pushes));
    n_answered = n_refused = 0;
    era = 1;
    daemon_start(&broker, NULL);
    client = open_with(broker.url, NULL);
    for (int i = 0; i < PUSHES; i++) {
        push_number(client, i);
        if (i == PUSHES / 2) {
            before = n_answered;
            CU_ASSERT(before <= PUSHES / 2); /* the last push has no answer yet */
            daemon_kill(&broker);
        }
        ferry_process(client, NULL);
    }
    /* Answers that the old broker has sent are still read. */
    ferry_process(client, NULL);
    before = n_answered;
    daemon_restart(&broker);
    era = 2;
    CU_ASSERT_TRUE(turn_until(client, &n_answered, PUSHES, PATIENCE_MS));
    CU_ASSERT_EQUAL(n_refused, 0);

    CU_ASSERT_EQUAL(ferry_work(client, "kept", &(ferry_work_options){.slots = 100}, count_push,
                               &counted, NULL, NULL),
                    0);
    for (int i = 0; i < PUSHES; i++)
        again += pushes[i].confirmed == 2;
    CU_ASSERT_TRUE(turn_until(client, &counted, again, PATIENCE_MS));
    sleep_ms(50);
    ferry_process(client, NULL);
    for (int i = 0; i < PUSHES; i++)
        wrong += pushes[i].stored != (pushes[i].confirmed == 2);
    printf("\n    %d pushes, %d confirmed before the kill, %d after it: lost or doubled %d", PUSHES,
           before, again, wrong);
    CU_ASSERT_EQUAL(wrong, 0);
    ferry_close(client);
    daemon_end(&broker);
}

int main(int argc, char **argv) {
    CU_TestInfo tests[] = {
        TEST(callers_of_a_killed_server_have_an_error),
        TEST(idempotent_calls_of_a_killed_server_are_answered_by_another),
        TEST(jobs_of_a_killed_worker_come_again),
        TEST(all_programs_resume_when_a_killed_broker_comes_back),
        TEST(pushes_without_an_answer_reach_the_next_broker_once),
        TESTS_END,
    };

    roles_play(argc, argv, usual_roles);
    return run_suite("kill -9", tests);
}
