/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The line between the broker and the FAR clients stops carrying packets without notice, and later
 * works again. FAR clients are behind the line, NEAR clients are on the broker's machine.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <ferry/ferry.h>

#include "base/clock.h"
#include "support/faults.h"
#include "support/net.h"
#include "support/process.h"
#include "support/random.h"
#include "support/suite.h"

enum {
    JOBS = 5,
    MESSAGES = 10,
    PUSHES = 50,
    DEADLINE_MS = 1000,
};

typedef struct Call {
    int n, n_good;
    uint64_t ended_ms;
    char type[64];
} Call;

typedef struct Work {
    int n;
    uint32_t attempt;
    ferry_job *held[2 * JOBS];
} Work;

typedef struct News {
    int n;
    uint64_t missed;
} News;

typedef struct Players {
    Daemon broker;
    ferry_client *near, *far, *all[2];
    Work near_work, far_work;
    News news;
} Players;

static Net *net;

static void on_reply(const ferry_reply *reply, const ferry_error *error, void *ctx) {
    Call *call = ctx;

    call->n++;
    call->n_good += reply != NULL;
    call->ended_ms = clock_ms();
    snprintf(call->type, sizeof(call->type), "%s", error ? error->type : "");
}

static int hold(ferry_job *job, void *ctx) {
    Work *work = ctx;

    work->attempt = job->attempt;
    if (work->n < 2 * JOBS)
        work->held[work->n++] = ferry_job_defer(job);
    return 0;
}

static int acknowledge(ferry_job *job, void *ctx) {
    Work *work = ctx;

    work->attempt = job->attempt;
    work->n++;
    return 0;
}

static void on_news(const ferry_message *message, void *ctx) {
    News *news = ctx;

    news->n++;
    news->missed += message->missed;
}

static void on_pushed(const ferry_error *error, void *ctx) {
    int *n = ctx;

    CU_ASSERT_PTR_NULL(error);
    ++*n;
}

static int count_job(ferry_job *job, void *ctx) {
    int *n = ctx;

    (void)job;
    ++*n;
    return 0;
}

/* The far client works, serves and subscribes; it has five jobs in flight. */
static void set_up(Players *players) {
    *players = (Players){.near = NULL};
    net_weather(net, &(Weather){.delay_ms = 1});
    net_enter(net, NEAR);
    daemon_start(&players->broker, &(DaemonOptions){.host = NET_NEAR});
    net_enter(net, FAR);
    players->near = players->all[0] =
        open_with(players->broker.url, &(ferry_options){.timeout_ms = 600000});
    players->far = players->all[1] = open_with(players->broker.tcp_url, NULL);
    serve_echo(players->far);
    CU_ASSERT_EQUAL(ferry_work(players->far, "jobs", &(ferry_work_options){.slots = JOBS}, hold,
                               &players->far_work, NULL, NULL),
                    0);
    CU_ASSERT_EQUAL(
        ferry_subscribe(players->far, "news.*", NULL, on_news, &players->news, NULL, NULL), 0);
    for (int i = 0; i < JOBS; i++)
        CU_ASSERT_EQUAL(ferry_push(players->near, "jobs", ferry_str("job"), NULL, NULL), 0);
    CU_ASSERT_TRUE(turn_until(players->far, &players->far_work.n, JOBS, PATIENCE_MS));
}

static void tear_down(Players *players) {
    ferry_close(players->near);
    ferry_close(players->far);
    daemon_end(&players->broker);
}

/* Acknowledges the jobs; the first n_lost of them belong to another worker now. */
static void acknowledge_held(Work *work, int n_lost) {
    for (int i = 0; i < work->n; i++)
        CU_ASSERT_EQUAL(ferry_job_ack(work->held[i]), i < n_lost ? -ESTALE : 0);
    work->n = 0;
}

static void a_short_cut_is_not_noticed(void) {
    EACH_SEED(seed, 51, 1) {
        Dice dice = dice_of(seed);
        uint64_t cut_ms = 500 + dice_below(&dice, 2000);
        Call call = {0};
        Players players;

        set_up(&players);
        net_cut(net);
        ferry_call_async(players.near, "echo.Echo.say", ferry_str("\xc3"), on_reply, &call, NULL);
        CU_ASSERT_EQUAL(ferry_publish(players.near, "news.today", ferry_str("x"), NULL, NULL), 0);
        turn_all_for(players.all, 2, cut_ms);
        CU_ASSERT_EQUAL(call.n, 0);
        net_weather(net, &(Weather){.delay_ms = 1});
        CU_ASSERT_TRUE(turn_all_until(players.all, 2, &call.n, 1, PATIENCE_MS));
        CU_ASSERT_EQUAL(call.n_good, 1);
        CU_ASSERT_TRUE(turn_all_until(players.all, 2, &players.news.n, 1, PATIENCE_MS));
        CU_ASSERT_EQUAL(players.news.missed, 0);
        acknowledge_held(&players.far_work, 0);
        CU_ASSERT_EQUAL(ferry_flush(players.far, NULL), 0);
        CU_ASSERT_EQUAL(broker_stat(players.far, "acked"), JOBS);
        CU_ASSERT_EQUAL(broker_stat(players.far, "redelivered"), 0);
        printf("\n    seed %llu: the line dead for %llu ms: a call takes that long, and nothing is "
               "lost or delivered again",
               (unsigned long long)seed, (unsigned long long)cut_ms);
        tear_down(&players);
    }
}

/* Checks that each end detects the cut within its time. */
static void while_it_is_cut(Players *players, uint64_t cut_at_ms, uint64_t seed) {
    Call lost = {0}, expired = {0};
    ferry_client *hasty = NULL;
    uint64_t start_ms;

    ferry_call_async(players->near, "echo.Echo.say", ferry_str("\xc3"), on_reply, &lost, NULL);
    CU_ASSERT_EQUAL(ferry_work(players->near, "jobs", &(ferry_work_options){.slots = JOBS},
                               acknowledge, &players->near_work, NULL, NULL),
                    0);
    CU_ASSERT_EQUAL(
        ferry_with(players->far, &(ferry_options){.timeout_ms = DEADLINE_MS}, &hasty, NULL), 0);
    start_ms = clock_ms();
    ferry_call_async(hasty, "echo.Echo.say", ferry_str("\xc3"), on_reply, &expired, NULL);
    CU_ASSERT_TRUE(turn_all_until(players->all, 2, &expired.n, 1, PATIENCE_MS));
    CU_ASSERT_STRING_EQUAL(expired.type, "ferry.DeadlineExceeded");
    CU_ASSERT(expired.ended_ms - start_ms >= DEADLINE_MS - 2);

    CU_ASSERT_TRUE(turn_all_until(players->all, 2, &lost.n, 1, PATIENCE_MS));
    CU_ASSERT_STRING_EQUAL(lost.type, "ferry.ServerLost");
    CU_ASSERT_TRUE(turn_all_until(players->all, 2, &players->near_work.n, JOBS, PATIENCE_MS));
    CU_ASSERT_EQUAL(players->near_work.attempt, 2);
    printf("\n    seed %llu: the line dead: a call of 1 s fails after %llu ms there; here a call "
           "of its server after %llu ms, its jobs come again after %llu ms",
           (unsigned long long)seed, (unsigned long long)(expired.ended_ms - start_ms),
           (unsigned long long)(lost.ended_ms - cut_at_ms),
           (unsigned long long)(clock_ms() - cut_at_ms));
    ferry_close(hasty);
}

static void healed(Players *players, uint64_t seed) {
    uint64_t start_ms = clock_ms(), served_ms;
    bool served = false;

    /* The far client serves, works and subscribes again by itself. */
    while (!served && clock_ms() < start_ms + PATIENCE_MS) {
        Call call = {0};

        ferry_call_async(players->near, "echo.Echo.say", ferry_str("\xc3"), on_reply, &call, NULL);
        turn_all_until(players->all, 2, &call.n, 1, PATIENCE_MS);
        served = call.n_good == 1;
        turn_all_for(players->all, 2, 5);
    }
    CU_ASSERT_TRUE(served);
    served_ms = clock_ms() - start_ms;
    for (int i = 0; i < JOBS; i++)
        CU_ASSERT_EQUAL(ferry_push(players->near, "jobs", ferry_str("job"), NULL, NULL), 0);
    CU_ASSERT_TRUE(turn_all_until(players->all, 2, &players->far_work.n, 2 * JOBS, PATIENCE_MS));
    CU_ASSERT_EQUAL(ferry_publish(players->near, "news.today", ferry_str("x"), NULL, NULL), 0);
    CU_ASSERT_TRUE(turn_all_until(players->all, 2, &players->news.n, 1, PATIENCE_MS));
    printf("\n    seed %llu: the line is back: served again after %llu ms, all as before after "
           "%llu ms",
           (unsigned long long)seed, (unsigned long long)served_ms,
           (unsigned long long)(clock_ms() - start_ms));
}

static void a_long_cut_costs_time_and_nothing_else(void) {
    EACH_SEED(seed, 52, 1) {
        Dice dice = dice_of(seed);
        int n_confirmed = 0, n_stored = 0;
        uint64_t cut_at_ms;
        Players players;

        set_up(&players);
        turn_all_for(players.all, 2, dice_below(&dice, 2500));
        cut_at_ms = clock_ms();
        net_cut(net);
        for (int i = 0; i < PUSHES; i++)
            CU_ASSERT_EQUAL(ferry_push_async(players.far, "kept", ferry_str("x"), NULL, on_pushed,
                                             &n_confirmed, NULL),
                            0);
        while_it_is_cut(&players, cut_at_ms, seed);
        for (int i = 0; i < MESSAGES; i++)
            CU_ASSERT_EQUAL(ferry_publish(players.near, "news.today", ferry_str("x"), NULL, NULL),
                            0);
        CU_ASSERT_EQUAL(ferry_flush(players.near, NULL), 0);
        CU_ASSERT_EQUAL(broker_stat(players.near, "acked"), JOBS);
        /* From now on only the far worker gets the waiting jobs. */
        players.near = players.all[0] = ferry_close(players.near);
        net_enter(net, FAR);
        players.near = players.all[0] = open_with(players.broker.url, NULL);

        net_weather(net, &(Weather){.delay_ms = 1});
        healed(&players, seed);
        CU_ASSERT_EQUAL(players.news.missed, MESSAGES);

        /* Another worker has done the jobs that the far worker had in flight before the cut: the
         * far worker's acknowledgements have no effect. */
        acknowledge_held(&players.far_work, JOBS);
        CU_ASSERT_EQUAL(ferry_flush(players.far, NULL), 0);
        CU_ASSERT_EQUAL(broker_stat(players.far, "acked"), 2 * JOBS);
        CU_ASSERT_EQUAL(broker_stat(players.far, "redelivered"), JOBS);

        CU_ASSERT_TRUE(turn_all_until(players.all, 2, &n_confirmed, PUSHES, PATIENCE_MS));
        CU_ASSERT_EQUAL(ferry_work(players.near, "kept", NULL, count_job, &n_stored, NULL, NULL),
                        0);
        CU_ASSERT_TRUE(turn_all_until(players.all, 2, &n_stored, PUSHES, PATIENCE_MS));
        turn_all_for(players.all, 2, 100);
        printf("\n    seed %llu: %d jobs done twice, counted twice %d; %d pushes made meanwhile: "
               "lost %d, stored twice %d; %llu of %d messages missed and counted",
               (unsigned long long)seed, JOBS,
               (int)broker_stat(players.near, "acked") - 2 * JOBS - PUSHES, PUSHES,
               n_stored < PUSHES ? PUSHES - n_stored : 0, n_stored > PUSHES ? n_stored - PUSHES : 0,
               (unsigned long long)players.news.missed, MESSAGES);
        CU_ASSERT_EQUAL(n_stored, PUSHES);
        tear_down(&players);
    }
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(a_short_cut_is_not_noticed),
        TEST(a_long_cut_costs_time_and_nothing_else),
        TESTS_END,
    };
    int status;

    net = net_start(said_or("TEST_SEED", 50));
    status = run_suite("a line that goes dead", tests);
    net_stop(net);
    return status;
}
