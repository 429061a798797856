/* SPDX-License-Identifier: Apache-2.0 */
/* Brokers whose host names take long to resolve, or do not exist. */

#include <stdio.h>
#include <string.h>

#include <ferry/ferry.h>

#include "base/clock.h"
#include "support/fake-dns.h"
#include "support/faults.h"
#include "support/process.h"
#include "support/suite.h"

/* The resolver itself waits for minutes, so a client that waits for it exceeds HANG_MS. */
enum { DEADLINE_MS = 500, HANG_MS = 60000, ANSWER_MS = 700, TURNS = 200 };

static ferry_client *open_named(const char *name, uint16_t port) {
    ferry_client *client = NULL;
    char url[64];

    snprintf(url, sizeof(url), "tcp://%s:%u", name, port);
    CU_ASSERT_EQUAL(ferry_open(url, NULL, &client, NULL), 0);
    return client;
}

/* A call of DEADLINE_MS fails with this text, even if the lookup of the name takes long. */
static void expect_failure(ferry_client *client, const char *text) {
    ferry_error error = FERRY_ERROR_INIT;
    ferry_client *hasty = NULL;

    CU_ASSERT_EQUAL(ferry_with(client, &(ferry_options){.timeout_ms = DEADLINE_MS}, &hasty, NULL),
                    0);
    CU_ASSERT(ferry_call(hasty, "echo.Echo.say", ferry_str("\xc3"), NULL, &error) < 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, text));
    CU_ASSERT_FALSE(error.outcome_unknown);
    if (!strstr(error.message, text))
        ferry_error_print(&error, stdout);
    ferry_error_clear(&error);
    ferry_close(hasty);
}

static void an_unknown_name_is_reported(void) {
    ferry_client *client = open_named("nowhere.test", 5877);

    expect_failure(client, "nowhere.test");
    ferry_close(client);
}

/* Closes the client, whose name is still being looked up. */
static void expect_closed_at_once(ferry_client *client) {
    uint64_t start_ms = clock_ms();

    ferry_close(client);
    CU_ASSERT(clock_ms() - start_ms < HANG_MS);
}

static void a_silent_name_server_delays_no_other_client(void) {
    Bystander *bystander;
    ferry_client *client;
    uint64_t start_ms;
    Noticed noticed;
    Daemon broker;

    daemon_start(&broker, &(DaemonOptions){.tcp = true});
    bystander = bystander_start(broker.url);
    start_ms = clock_ms();
    client = open_named("never.test", 5877);
    expect_failure(client, "is still being looked up");
    for (int i = 0; i < TURNS; i++)
        ferry_process(client, NULL);
    bystander_wait(bystander, 100);
    expect_failure(client, "is still being looked up");
    CU_ASSERT(clock_ms() - start_ms < HANG_MS);
    expect_closed_at_once(client);
    noticed = bystander_stop(bystander);
    printf("\n    a name server that is silent: another client of the process: %ld calls, %ld "
           "failed, worst %.1f ms",
           noticed.n_calls, noticed.n_failed, noticed.worst_ms);
    CU_ASSERT_EQUAL(noticed.n_failed, 0);
    daemon_end(&broker);
}

static void closing_the_last_client_does_not_wait_for_a_name(void) {
    ferry_client *client = open_named("never.test", 5877);

    turn_for(client, 100);
    expect_closed_at_once(client);
}

/* Opens a client of this name and calls. Returns the time from the opening to the answer. */
static uint64_t answered_ms(const char *name, uint16_t port) {
    uint64_t start_ms = clock_ms();
    ferry_client *client = open_named(name, port);

    CU_ASSERT_TRUE(echo_answers_within(client, PATIENCE_MS));
    ferry_close(client);
    return clock_ms() - start_ms;
}

static void a_slow_name_is_waited_for(void) {
    Bystander *bystander;
    uint64_t slow_ms, fast_ms, local_ms;
    Daemon broker;

    daemon_start(&broker, &(DaemonOptions){.tcp = true});
    bystander = bystander_start(broker.url);
    fast_ms = answered_ms("four.test", broker.port);
    local_ms = answered_ms("localhost", broker.port);
    slow_ms = answered_ms("after-700.test", broker.port);
    bystander_stop(bystander);
    printf("\n    a call is answered after %llu ms; by localhost after %llu ms; where names take "
           "%d ms, after %llu ms",
           (unsigned long long)fast_ms, (unsigned long long)local_ms, ANSWER_MS,
           (unsigned long long)slow_ms);
    CU_ASSERT(slow_ms >= ANSWER_MS);
    daemon_end(&broker);
}

static void a_host_of_ipv6_alone_is_reached(void) {
    Daemon six, four;
    Bystander *at_six, *at_four;
    uint64_t six_ms, both_ms;

    daemon_start(&six, &(DaemonOptions){.host = "::1"});
    daemon_start(&four, &(DaemonOptions){.tcp = true});
    at_six = bystander_start(six.url);
    at_four = bystander_start(four.url);
    six_ms = answered_ms("six.test", six.port);
    /* The name's first address is not the one that the broker listens on. */
    both_ms = answered_ms("both.test", four.port);
    bystander_stop(at_six);
    bystander_stop(at_four);
    printf("\n    a host of IPv6 alone: a call is answered after %llu ms; one of both, where the "
           "broker has IPv4 alone: after %llu ms",
           (unsigned long long)six_ms, (unsigned long long)both_ms);
    daemon_end(&six);
    daemon_end(&four);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(an_unknown_name_is_reported),
        TEST(a_silent_name_server_delays_no_other_client),
        TEST(closing_the_last_client_does_not_wait_for_a_name),
        TEST(a_slow_name_is_waited_for),
        TEST(a_host_of_ipv6_alone_is_reached),
        TESTS_END,
    };

    fake_dns_start();
    return run_suite("brokers by name", tests);
}
