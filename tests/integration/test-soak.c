/* SPDX-License-Identifier: Apache-2.0 */

/*
 * All faults at the same time, for a while: a bad line, killed servers and workers, unknown peers
 * that connect and leave. No data is lost, and no memory grows. FERRY_TEST_SOAK_S is the duration
 * in seconds; TEST_SEED chooses the faults.
 */

#include <arpa/inet.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <ferry/ferry.h>

#include "base/clock.h"
#include "support/faults.h"
#include "support/net.h"
#include "support/random.h"
#include "support/raw-peer.h"
#include "support/roles.h"
#include "support/suite.h"

enum {
    USUAL_S = 60,
    TURN_MS = 20,
    CALM_MS = 3000,
    PUSHES_MAX = 1 << 20,
    SAMPLES_MAX = 1 << 20,
    DEADLINE_MS = 1000,
    LATE_MS = 60000,
    GROWN_MAX_KIB = 3072,
};

typedef struct Sample {
    double at_s, broker_kib, our_kib, fds;
} Sample;

typedef struct Soak {
    Dice dice;
    Net *net;
    Daemon broker;
    Process server, holder;
    ferry_client *far, *hasty, *near, *all[2];
    int n_pushed, n_confirmed, n_refused;
    int n_calls, n_ended, n_good, n_late;
    int n_published, n_news, n_unknown, n_faults, n_strangers;
    uint64_t n_missed;
    size_t n_samples;
} Soak;

typedef struct Call {
    Soak *soak;
    uint64_t began_ms;
} Call;

static uint8_t stored[PUSHES_MAX]; /* for each push: the number of deliveries with attempt 1 */
static int n_done;
static Sample samples[SAMPLES_MAX];

/* ---- operations that must succeed ---- */

static void on_reply(const ferry_reply *reply, const ferry_error *error, void *ctx) {
    Call *call = ctx;

    (void)error;
    call->soak->n_ended++;
    call->soak->n_good += reply != NULL;
    call->soak->n_late += clock_ms() > call->began_ms + DEADLINE_MS + LATE_MS;
    free(call);
}

static void on_pushed(const ferry_error *error, void *ctx) {
    Soak *soak = ctx;

    soak->n_confirmed++;
    soak->n_refused += error != NULL;
}

static int on_job(ferry_job *job, void *ctx) {
    char text[16] = "";
    int i;

    (void)ctx;
    memcpy(text, job->body.data, job->body.len < 15 ? job->body.len : 15);
    i = atoi(text);
    if (i >= 0 && i < PUSHES_MAX && job->attempt == 1) {
        n_done += stored[i] == 0;
        stored[i]++;
    }
    return 0;
}

static void on_news(const ferry_message *message, void *ctx) {
    Soak *soak = ctx;

    soak->n_news++;
    if (message->missed == FERRY_MISSED_UNKNOWN)
        soak->n_unknown++;
    else
        soak->n_missed += message->missed;
}

static void do_work(Soak *soak) {
    Call *call = malloc(sizeof(*call));
    char text[16];

    *call = (Call){soak, clock_ms()};
    if (ferry_call_async(soak->hasty, "echo.Echo.say", ferry_str("\xc3"), on_reply, call, NULL) ==
        0)
        soak->n_calls++;
    else
        free(call);
    snprintf(text, sizeof(text), "%d", soak->n_pushed);
    if (soak->n_pushed < PUSHES_MAX &&
        ferry_push_async(soak->far, "kept", ferry_str(text), NULL, on_pushed, soak, NULL) == 0)
        soak->n_pushed++;
    if (soak->n_pushed % 50 == 0)
        ferry_push_async(soak->near, "held", ferry_str("x"), NULL, NULL, NULL, NULL);
    soak->n_published += ferry_publish(soak->near, "news.today", ferry_str(text), NULL, NULL) == 0;
}

/* ---- faults ---- */

static void start_roles(Soak *soak) {
    net_enter(soak->net, FAR);
    if (soak->server.pid == 0)
        role_start(&soak->server, "echo", soak->broker.tcp_url, NULL);
    if (soak->holder.pid == 0)
        role_start(&soak->holder, "hold", soak->broker.tcp_url, "5", NULL);
}

static void change_weather(Soak *soak) {
    static const Weather weathers[] = {
        {.delay_ms = 1},
        {.loss = {50, 50}, .delay_ms = 5},
        {.delay_ms = 60, .jitter_ms = 40},
        {.delay_ms = 5, .kbit = 2000},
        {.loss = {1000, 1000}},
        {.loss = {0, 1000}},
    };

    net_weather(soak->net,
                &weathers[dice_below(&soak->dice, sizeof(weathers) / sizeof(*weathers))]);
}

static void receive_stranger(Soak *soak) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(soak->broker.port)};
    int fd;

    net_enter(soak->net, NEAR);
    inet_pton(AF_INET, NET_NEAR, &to.sin_addr);
    fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    soak->n_strangers++;
    if (connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0 && dice_below(&soak->dice, 2))
        raw_bytes(fd, "GET / HTTP/1.0\r\n\r\n", 18);
    close(fd);
}

static void do_damage(Soak *soak) {
    uint64_t what = dice_below(&soak->dice, 1000);

    if (what < 20) {
        change_weather(soak);
    } else if (what < 26) {
        process_end(what < 23 ? &soak->server : &soak->holder, SIGKILL, PATIENCE_MS);
        start_roles(soak);
    } else if (what < 300) {
        receive_stranger(soak);
        return;
    } else {
        return;
    }
    soak->n_faults++;
}

/* ---- figures ---- */

static void take_sample(Soak *soak, uint64_t start_ms) {
    if (soak->n_samples == SAMPLES_MAX)
        return;
    samples[soak->n_samples++] = (Sample){
        .at_s = (double)(clock_ms() - start_ms) / 1000,
        .broker_kib = (double)process_rss_kib(soak->broker.process.pid),
        .our_kib = (double)process_rss_kib(getpid()),
        .fds = (double)process_n_fds(soak->broker.process.pid),
    };
}

/* The slope of a regression line through the samples of the last two thirds, in units per
 * second. */
static double slope(const Soak *soak, size_t field) {
    size_t from = soak->n_samples / 3, n = soak->n_samples - from;
    double x = 0, y = 0, xx = 0, xy = 0;

    for (size_t i = from; i < soak->n_samples; i++) {
        double value = *(const double *)(const void *)((const char *)&samples[i] + field);

        x += samples[i].at_s;
        y += value;
        xx += samples[i].at_s * samples[i].at_s;
        xy += samples[i].at_s * value;
    }
    return n < 2 ? 0 : ((double)n * xy - x * y) / ((double)n * xx - x * x);
}

static void report(Soak *soak, uint64_t seconds) {
    const Sample *first = &samples[soak->n_samples / 3], *last = &samples[soak->n_samples - 1];
    int lost = 0, twice = 0;

    for (int i = 0; i < soak->n_pushed; i++) {
        lost += stored[i] == 0;
        twice += stored[i] > 1;
    }
    printf("\n    seed %llu, %llu s: %d faults, %d strangers, %llu of %llu packets lost",
           (unsigned long long)soak->dice.seed, (unsigned long long)seconds, soak->n_faults,
           soak->n_strangers,
           (unsigned long long)(net_n_lost(soak->net, NEAR) + net_n_lost(soak->net, FAR)),
           (unsigned long long)(net_n_sent(soak->net, NEAR) + net_n_sent(soak->net, FAR)));
    printf("\n    %d calls, %d answered, %d ended late; %d pushes, lost %d, stored twice %d; %d "
           "messages published, %d heard, %llu missed and counted",
           soak->n_calls, soak->n_good, soak->n_late, soak->n_pushed, lost, twice,
           soak->n_published, soak->n_news, (unsigned long long)soak->n_missed);
    printf("\n    the broker: %.0f KiB, then %.0f KiB (%+.1f KiB/s), descriptors %.0f, then %.0f "
           "(%+.3f/s); a client: %.0f KiB, then %.0f KiB (%+.1f KiB/s)",
           first->broker_kib, last->broker_kib, slope(soak, offsetof(Sample, broker_kib)),
           first->fds, last->fds, slope(soak, offsetof(Sample, fds)), first->our_kib, last->our_kib,
           slope(soak, offsetof(Sample, our_kib)));
    CU_ASSERT_EQUAL(lost, 0);
    CU_ASSERT_EQUAL(twice, 0);
    CU_ASSERT_EQUAL(soak->n_refused, 0);
    CU_ASSERT_EQUAL(soak->n_unknown, 0);
    CU_ASSERT_EQUAL((uint64_t)soak->n_news + soak->n_missed, (uint64_t)soak->n_published);
    CU_ASSERT_EQUAL(soak->n_ended, soak->n_calls);
    CU_ASSERT(soak->n_good > 0);
    CU_ASSERT(soak->n_late * 100 <= soak->n_calls);
    CU_ASSERT(last->fds <= first->fds + 2);
#ifndef SANITIZED
    CU_ASSERT(last->broker_kib - first->broker_kib <= GROWN_MAX_KIB);
    CU_ASSERT(last->our_kib - first->our_kib <= GROWN_MAX_KIB);
#endif
}

/* ---- all of it ---- */

static Net *the_net;

static void set_up(Soak *soak) {
    net_weather(soak->net, &(Weather){.delay_ms = 1});
    net_enter(soak->net, NEAR);
    daemon_start(&soak->broker, &(DaemonOptions){.host = NET_NEAR,
                                                 .level = "error",
                                                 .config = "[queue held.dead]\nmax_jobs = 100\n"
                                                           "overflow = drop-oldest\n"});
    start_roles(soak);
    soak->far = soak->all[0] = open_with(soak->broker.tcp_url, NULL);
    soak->near = soak->all[1] = open_with(soak->broker.url, NULL);
    CU_ASSERT_EQUAL(
        ferry_with(soak->far, &(ferry_options){.timeout_ms = DEADLINE_MS}, &soak->hasty, NULL), 0);
    CU_ASSERT_EQUAL(ferry_subscribe(soak->far, "news.*", NULL, on_news, soak, NULL, NULL), 0);
    CU_ASSERT_EQUAL(ferry_work(soak->near, "kept", &(ferry_work_options){.slots = 50}, on_job, soak,
                               NULL, NULL),
                    0);
}

/* Runs without faults until all work is done. */
static void settle(Soak *soak) {
    net_weather(soak->net, &(Weather){.delay_ms = 1});
    start_roles(soak);
    CU_ASSERT_TRUE(turn_all_until(soak->all, 2, &soak->n_ended, soak->n_calls, PATIENCE_MS));
    CU_ASSERT_TRUE(turn_all_until(soak->all, 2, &soak->n_confirmed, soak->n_pushed, PATIENCE_MS));
    CU_ASSERT_TRUE(turn_all_until(soak->all, 2, &n_done, soak->n_pushed, PATIENCE_MS));
    turn_all_for(soak->all, 2, CALM_MS);
    /* Missed messages are reported together with the next message at the latest. */
    soak->n_published += ferry_publish(soak->near, "news.today", ferry_str("x"), NULL, NULL) == 0;
    turn_all_for(soak->all, 2, CALM_MS / 10);
}

static void nothing_is_lost_and_nothing_grows(void) {
    uint64_t seconds = said_or("FERRY_TEST_SOAK_S", USUAL_S), start_ms;
    Soak soak = {.dice = dice_new(101), .net = the_net};

    set_up(&soak);
    start_ms = clock_ms();
    while (clock_ms() < start_ms + seconds * 1000) {
        do_work(&soak);
        do_damage(&soak);
        turn_all_for(soak.all, 2, TURN_MS);
        while (told(&soak.holder, 0))
            ;
        if (soak.n_calls % 25 == 0)
            take_sample(&soak, start_ms);
    }
    settle(&soak);
    take_sample(&soak, start_ms);
    report(&soak, seconds);
    ferry_close(soak.hasty);
    ferry_close(soak.far);
    ferry_close(soak.near);
    process_end(&soak.server, SIGKILL, PATIENCE_MS);
    process_end(&soak.holder, SIGKILL, PATIENCE_MS);
    daemon_end(&soak.broker);
}

int main(int argc, char **argv) {
    CU_TestInfo tests[] = {
        TEST(nothing_is_lost_and_nothing_grows),
        TESTS_END,
    };
    int status;

    roles_play(argc, argv, usual_roles);
    the_net = net_start(said_or("TEST_SEED", 101));
    status = run_suite("everything at once", tests);
    net_stop(the_net);
    return status;
}
