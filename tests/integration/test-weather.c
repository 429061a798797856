/* SPDX-License-Identifier: Apache-2.0 */

/* A line that loses packets, is slow, or has a long delay: calls take longer, deadlines stay
 * exact. */

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include <ferry/ferry.h>

#include "base/clock.h"
#include "support/faults.h"
#include "support/net.h"
#include "support/random.h"
#include "support/roles.h"
#include "support/suite.h"

enum {
    CALLS = 100,
    PAUSE_MS = 25, /* between two calls */
    SHORTEST_MS = 500,
    LONGEST_MS = 2000,
    LATE_PERCENT = 1000, /* of a call's deadline; only a call that hangs ends later */
    PUSHES = 100,
    LOST_MAX = 2,   /* connections: TCP itself gives up for 6 s after five losses in a row */
    DONE_MS = 60000 /* until all pushes are confirmed */
};

typedef struct Far {
    ferry_client *client;
    int n_ended, n_confirmed, n_lost;
} Far;

typedef struct Timed {
    Far *far;
    ferry_client *handle;
    uint64_t began_us, ended_us;
    uint32_t deadline_ms;
    int n;
    bool is_good, is_late_type;
} Timed;

static Net *net;
static Timed timed[CALLS];

static void on_event(int event, const ferry_error *error, void *ctx) {
    Far *far = ctx;

    (void)error;
    far->n_lost += event == FERRY_EVENT_DOWN;
}

static void on_reply(const ferry_reply *reply, const ferry_error *error, void *ctx) {
    Timed *call = ctx;

    call->ended_us = clock_us();
    call->n++;
    call->is_good = reply != NULL;
    call->is_late_type = error && (strcmp(error->type, "ferry.DeadlineExceeded") == 0 ||
                                   strcmp(error->type, "ferry.ConnectionLost") == 0);
    call->far->n_ended++;
}

static void on_pushed(const ferry_error *error, void *ctx) {
    CU_ASSERT_PTR_NULL(error);
    ((Far *)ctx)->n_confirmed++;
}

static int count_job(ferry_job *job, void *ctx) {
    int *n = ctx;

    (void)job;
    ++*n;
    return 0;
}

static void begin_call(Far *far, Timed *call, Dice *dice) {
    *call = (Timed){.far = far,
                    .deadline_ms =
                        SHORTEST_MS + (uint32_t)dice_below(dice, LONGEST_MS - SHORTEST_MS + 1)};
    CU_ASSERT_EQUAL(ferry_with(far->client, &(ferry_options){.timeout_ms = call->deadline_ms},
                               &call->handle, NULL),
                    0);
    call->began_us = clock_us();
    CU_ASSERT_EQUAL(ferry_call_async(call->handle,
                                     dice_below(dice, 2) ? "held.Calls.wait" : "echo.Echo.say",
                                     ferry_str("\x90"), on_reply, call, NULL),
                    0);
}

static void begin_push(Far *far) {
    static uint8_t body[1024];

    CU_ASSERT_EQUAL(ferry_push_async(far->client, "kept", (ferry_bytes){body, sizeof(body), NULL},
                                     NULL, on_pushed, far, NULL),
                    0);
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* The lateness of the 99th of a hundred calls, in percent of its deadline. */
static double lateness(int *ret_good) {
    static double late[CALLS];

    *ret_good = 0;
    for (int i = 0; i < CALLS; i++) {
        double took_ms = (double)(timed[i].ended_us - timed[i].began_us) / 1000;

        CU_ASSERT_EQUAL(timed[i].n, 1);
        CU_ASSERT(timed[i].is_good || timed[i].is_late_type);
        late[i] = 100 * (took_ms / timed[i].deadline_ms - 1);
        *ret_good += timed[i].is_good;
    }
    qsort(late, CALLS, sizeof(*late), by_size);
    return late[CALLS * 99 / 100 - 1];
}

static void one_sitting(const Weather *weather, const char *what, uint64_t seed) {
    Process server, holder;
    Dice dice = dice_of(seed);
    Far far = {.n_lost = 0};
    int n_stored = 0, n_good;
    uint64_t start_ms, pushed_ms;
    uint64_t lost = net_n_lost(net, NEAR) + net_n_lost(net, FAR);
    uint64_t sent = net_n_sent(net, NEAR) + net_n_sent(net, FAR);
    ferry_client *near;
    double late;
    Daemon broker;

    net_weather(net, &(Weather){.delay_ms = 0});
    net_enter(net, NEAR);
    daemon_start(&broker, &(DaemonOptions){.host = NET_NEAR});
    role_start(&server, "echo", broker.url, NULL);
    role_start(&holder, "hold", broker.url, NULL);
    CU_ASSERT_TRUE(told_count(&server, "ready", 0, PATIENCE_MS, NULL));
    CU_ASSERT_TRUE(told_count(&holder, "ready", 0, PATIENCE_MS, NULL));
    net_enter(net, FAR);
    far.client = open_with(broker.tcp_url, &(ferry_options){.on_event = on_event, .ctx = &far});

    net_weather(net, weather);
    start_ms = clock_ms();
    for (int i = 0; i < CALLS; i++) {
        begin_call(&far, &timed[i], &dice);
        begin_push(&far);
        turn_for(far.client, PAUSE_MS);
    }
    CU_ASSERT_TRUE(turn_until(far.client, &far.n_ended, CALLS, PATIENCE_MS));
    late = lateness(&n_good);
    for (int i = 0; i < CALLS; i++)
        ferry_close(timed[i].handle);
    CU_ASSERT_TRUE(turn_until(far.client, &far.n_confirmed, PUSHES, DONE_MS));
    pushed_ms = clock_ms() - start_ms;
    lost = net_n_lost(net, NEAR) + net_n_lost(net, FAR) - lost;
    sent = net_n_sent(net, NEAR) + net_n_sent(net, FAR) - sent;

    net_weather(net, &(Weather){.delay_ms = 0});
    near = open_with(broker.url, NULL);
    CU_ASSERT_EQUAL(ferry_work(near, "kept", NULL, count_job, &n_stored, NULL, NULL), 0);
    CU_ASSERT_TRUE(turn_until(near, &n_stored, PUSHES, PATIENCE_MS));
    turn_for(near, 50);
    printf("\n    %s, seed %llu: %llu of %llu packets lost; %d of %d calls answered, p99 ended "
           "%.1f %% after its deadline; connections lost %d; %d pushes in %llu ms, stored %d",
           what, (unsigned long long)seed, (unsigned long long)lost, (unsigned long long)sent,
           n_good, CALLS, late, far.n_lost, PUSHES, (unsigned long long)pushed_ms, n_stored);
    CU_ASSERT(late <= LATE_PERCENT);
    CU_ASSERT(far.n_lost <= LOST_MAX);
    CU_ASSERT_EQUAL(n_stored, PUSHES);
    ferry_close(near);
    ferry_close(far.client);
    process_end(&server, SIGKILL, PATIENCE_MS);
    process_end(&holder, SIGKILL, PATIENCE_MS);
    daemon_end(&broker);
}

static void a_line_far_away(void) {
    static const Weather weather = {.loss = {10, 10}, .delay_ms = 80, .jitter_ms = 40};

    EACH_SEED(seed, 61, 1)
    one_sitting(&weather, "200 ms there and back with jitter, 1 % lost", seed);
}

static void a_line_that_loses_packets(void) {
    static const Weather few = {.loss = {50, 50}, .delay_ms = 5, .jitter_ms = 10};
    static const Weather many = {.loss = {300, 300}, .delay_ms = 5, .jitter_ms = 10};

    EACH_SEED(seed, 62, 1) {
        one_sitting(&few, "5 % lost", seed);
        one_sitting(&many, "30 % lost", seed);
    }
}

static void a_narrow_line(void) {
    static const Weather weather = {.loss = {50, 50}, .delay_ms = 20, .kbit = 1000};

    EACH_SEED(seed, 63, 1)
    one_sitting(&weather, "1 Mbit/s, 5 % lost", seed);
}

/* For ten seconds in each direction the line carries only the body: PINGs wait behind it. */
static void a_large_body_over_a_slow_line(void) {
    static const Weather weather = {.delay_ms = 5, .kbit = 480};
    static uint8_t body[600000];
    Far far = {.n_lost = 0};
    Timed call = {.far = &far};
    Process server;
    Daemon broker;

    net_weather(net, &(Weather){.delay_ms = 0});
    net_enter(net, NEAR);
    daemon_start(&broker, &(DaemonOptions){.host = NET_NEAR});
    role_start(&server, "echo", broker.url, NULL);
    CU_ASSERT_TRUE(told_count(&server, "ready", 0, PATIENCE_MS, NULL));
    net_enter(net, FAR);
    far.client =
        open_with(broker.tcp_url,
                  &(ferry_options){.timeout_ms = PATIENCE_MS, .on_event = on_event, .ctx = &far});
    net_weather(net, &weather);
    CU_ASSERT_EQUAL(ferry_call_async(far.client, "echo.Echo.say",
                                     (ferry_bytes){body, sizeof(body), NULL}, on_reply, &call,
                                     NULL),
                    0);
    CU_ASSERT_TRUE(turn_until(far.client, &call.n, 1, PATIENCE_MS));
    CU_ASSERT_TRUE(call.is_good);
    CU_ASSERT_EQUAL(far.n_lost, 0);
    net_weather(net, &(Weather){.delay_ms = 0});
    ferry_close(far.client);
    process_end(&server, SIGKILL, PATIENCE_MS);
    daemon_end(&broker);
}

int main(int argc, char **argv) {
    CU_TestInfo tests[] = {
        TEST(a_line_far_away),
        TEST(a_line_that_loses_packets),
        TEST(a_narrow_line),
        TEST(a_large_body_over_a_slow_line),
        TESTS_END,
    };
    int status;

    roles_play(argc, argv, usual_roles);
    net = net_start(said_or("TEST_SEED", 60));
    status = run_suite("bad weather on the line", tests);
    net_stop(net);
    return status;
}
