/* SPDX-License-Identifier: Apache-2.0 */

/* Bad lines: connections that are cut, half-closed, stalled or slow, or that deliver wrong
 * bytes. */

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include <ferry/ferry.h>

#include "base/clock.h"
#include "support/faults.h"
#include "support/proxy.h"
#include "support/random.h"
#include "support/roles.h"
#include "support/suite.h"

enum { ROUNDS = 20, PUSHES_A_ROUND = 200, PUSHES = ROUNDS * PUSHES_A_ROUND };

static int stored[PUSHES], n_confirmed, n_refused, n_stored;

static void on_pushed(const ferry_error *error, void *ctx) {
    (void)ctx;
    n_confirmed++;
    n_refused += error != NULL;
}

static int count_job(ferry_job *job, void *ctx) {
    char text[16] = "";
    int i;

    (void)ctx;
    memcpy(text, job->body.data, job->body.len < 15 ? job->body.len : 15);
    i = atoi(text);
    if (i >= 0 && i < PUSHES)
        stored[i]++;
    n_stored++;
    return 0;
}

static void push_some(ferry_client *client, int from) {
    for (int i = from; i < from + PUSHES_A_ROUND; i++) {
        char text[16];

        snprintf(text, sizeof(text), "%d", i);
        CU_ASSERT_EQUAL(
            ferry_push_async(client, "kept", ferry_str(text), NULL, on_pushed, NULL, NULL), 0);
        if (i % 10 == 0)
            ferry_process(client, NULL);
    }
}

static void do_damage(Proxy *proxy, Dice *dice) {
    switch (dice_below(dice, 4)) {
    case 0:
        proxy_cut(proxy);
        break;
    case 1:
        proxy_half_close(proxy);
        break;
    case 2:
        proxy_stall(proxy, dice_below(dice, 100));
        break;
    default:
        proxy_drip(proxy, dice_below(dice, 100));
        sleep_ms(20);
        proxy_cut(proxy);
    }
}

static void pushes_over_a_bad_line_are_stored_once(void) {
    Dice dice = dice_new(20);
    ferry_client *client, *worker;
    Proxy *proxy;
    Daemon broker;
    int lost = 0, doubled = 0;

    daemon_start(&broker, &(DaemonOptions){.tcp = true});
    proxy = proxy_start(broker.port);
    client = open_with(proxy_url(proxy), NULL);
    for (int round = 0; round < ROUNDS; round++) {
        push_some(client, round * PUSHES_A_ROUND);
        turn_for(client, dice_below(&dice, 20));
        do_damage(proxy, &dice);
        turn_for(client, dice_below(&dice, 60));
    }
    CU_ASSERT_TRUE(turn_until(client, &n_confirmed, PUSHES, PATIENCE_MS));
    CU_ASSERT_EQUAL(n_refused, 0);

    worker = open_with(broker.url, NULL);
    CU_ASSERT_EQUAL(ferry_work(worker, "kept", &(ferry_work_options){.slots = 1000}, count_job,
                               NULL, NULL, NULL),
                    0);
    CU_ASSERT_TRUE(turn_until(worker, &n_stored, PUSHES, PATIENCE_MS));
    turn_for(worker, 100);
    for (int i = 0; i < PUSHES; i++) {
        lost += stored[i] == 0;
        doubled += stored[i] > 1;
    }
    printf("\n    %d pushes, %d faults of the line, %llu connections, seed %llu: lost %d, stored "
           "twice %d",
           PUSHES, ROUNDS, (unsigned long long)proxy_n_connections(proxy),
           (unsigned long long)dice.seed, lost, doubled);
    CU_ASSERT_EQUAL(lost, 0);
    CU_ASSERT_EQUAL(doubled, 0);
    ferry_close(worker);
    ferry_close(client);
    proxy_stop(proxy);
    daemon_end(&broker);
}

/* ---- all clients behind the line ---- */

static void all_programs_resume_when_the_line_is_cut(void) {
    Process server, worker, listener;
    ferry_client *client, *direct;
    Proxy *proxy;
    Daemon broker;
    double worst_ms = 0;

    daemon_start(&broker, &(DaemonOptions){.tcp = true});
    proxy = proxy_start(broker.port);
    role_start(&server, "echo", proxy_url(proxy), NULL);
    role_start(&worker, "work", proxy_url(proxy), "done", NULL);
    role_start(&listener, "listen", proxy_url(proxy), "news.*", NULL);
    CU_ASSERT_TRUE(told_count(&server, "ready", 0, PATIENCE_MS, NULL));
    CU_ASSERT_TRUE(told_count(&worker, "ready", 0, PATIENCE_MS, NULL));
    CU_ASSERT_TRUE(told_count(&listener, "ready", 0, PATIENCE_MS, NULL));
    client = open_with(proxy_url(proxy), NULL);
    direct = open_with(broker.url, NULL);

    for (int round = 1; round <= 5; round++) {
        uint64_t start_us = clock_us();
        char text[16];
        const char *line = NULL;

        proxy_cut(proxy);
        CU_ASSERT_TRUE(echo_answers_within(client, PATIENCE_MS));
        if ((double)(clock_us() - start_us) / 1000 > worst_ms)
            worst_ms = (double)(clock_us() - start_us) / 1000;
        snprintf(text, sizeof(text), "%d", round);
        CU_ASSERT_EQUAL(ferry_push(client, "done", ferry_str(text), NULL, NULL), 0);
        CU_ASSERT_TRUE(told_count(&worker, "job", round, PATIENCE_MS, NULL));

        /* The subscription resumes: messages that it missed are counted; their number is known. */
        for (int i = 0; i < 1200 && !line; i++) {
            CU_ASSERT_EQUAL(ferry_publish(direct, "news.today", ferry_str(text), NULL, NULL), 0);
            line = told(&listener, 100);
        }
        CU_ASSERT_PTR_NOT_NULL(line);
        if (line)
            CU_ASSERT_PTR_NULL(strstr(line, "missed -1"));
    }
    printf("\n    the lines cut 5 times: a call is answered again after at most %.1f ms", worst_ms);
    ferry_close(client);
    ferry_close(direct);
    process_end(&server, SIGKILL, PATIENCE_MS);
    process_end(&worker, SIGKILL, PATIENCE_MS);
    process_end(&listener, SIGKILL, PATIENCE_MS);
    proxy_stop(proxy);
    daemon_end(&broker);
}

static void wrong_bytes_harm_only_clients_behind_the_line(void) {
    Dice dice = dice_new(21);
    Bystander *bystander;
    ferry_client *client, *hasty = NULL;
    Noticed noticed;
    Proxy *proxy;
    Daemon broker;

    daemon_start(&broker, &(DaemonOptions){.tcp = true});
    proxy = proxy_start(broker.port);
    bystander = bystander_start(broker.url);
    client = open_with(proxy_url(proxy), NULL);
    ferry_with(client, &(ferry_options){.timeout_ms = 200}, &hasty, NULL);
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < 5; i++) {
            proxy_corrupt(proxy, (unsigned)dice_below(&dice, 800), dice_below(&dice, 2));
            call_echo(hasty);
            ferry_publish(client, "a.b", ferry_str("some text"), NULL, NULL);
            ferry_process(client, NULL);
        }
        proxy_cut(proxy);
        /* A client that got a FAULT for breaking the protocol does not try again; a new client can
         * connect. */
        ferry_close(hasty);
        ferry_close(client);
        proxy_cut(proxy);
        client = open_with(proxy_url(proxy), NULL);
        ferry_with(client, &(ferry_options){.timeout_ms = 200}, &hasty, NULL);
    }
    noticed = bystander_stop(bystander);
    printf("\n    %d bits flipped, seed %llu: a bystander's %ld calls, %ld failed, median %.2f "
           "ms, worst %.1f ms",
           ROUNDS * 5, (unsigned long long)dice.seed, noticed.n_calls, noticed.n_failed,
           noticed.median_ms, noticed.worst_ms);
    CU_ASSERT_EQUAL(noticed.n_failed, 0);
    CU_ASSERT_TRUE(daemon_log_is_clean(&broker));
    ferry_close(hasty);
    ferry_close(client);
    proxy_stop(proxy);
    daemon_end(&broker);
}

int main(int argc, char **argv) {
    CU_TestInfo tests[] = {
        TEST(pushes_over_a_bad_line_are_stored_once),
        TEST(all_programs_resume_when_the_line_is_cut),
        TEST(wrong_bytes_harm_only_clients_behind_the_line),
        TESTS_END,
    };

    roles_play(argc, argv, usual_roles);
    return run_suite("bad lines", tests);
}
