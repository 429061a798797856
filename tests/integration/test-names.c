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

enum {
    DEADLINE_MS = 500,
    LATE_MS = 4000, /* the resolver itself gives up after 5 s */
    AT_ONCE_MS = 4000,
    CLOSE_MS = 4000,
    ANSWER_MS = 700,
    SOON_MS = 3000,
};

static ferry_client *open_named(const char *name, uint16_t port) {
    ferry_client *client = NULL;
    uint64_t start_ms = clock_ms();
    char url[64];

    snprintf(url, sizeof(url), "tcp://%s:%u", name, port);
    CU_ASSERT_EQUAL(ferry_open(url, &(ferry_options){.timeout_ms = DEADLINE_MS}, &client, NULL), 0);
    CU_ASSERT(clock_ms() - start_ms <= AT_ONCE_MS);
    return client;
}

/* The first call must end in time, even if the lookup of the name takes long. Returns the time that
 * the call took. */
static uint64_t failing_call_ms(ferry_client *client, const char *text) {
    ferry_error error = FERRY_ERROR_INIT;
    ferry_reply *reply = NULL;
    uint64_t start_ms = clock_ms(), took_ms;
    int r = ferry_call(client, "echo.Echo.say", ferry_str("\xc3"), &reply, &error);

    took_ms = clock_ms() - start_ms;
    CU_ASSERT(r < 0);
    CU_ASSERT(took_ms <= DEADLINE_MS + LATE_MS);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, text));
    CU_ASSERT_FALSE(error.outcome_unknown);
    if (!strstr(error.message, text))
        ferry_error_print(&error, stdout);
    ferry_error_clear(&error);
    return took_ms;
}

static void an_unknown_name_is_reported(void) {
    ferry_client *client = open_named("nowhere.test", 5877);

    printf("\n    no such host: a call of 500 ms fails after %llu ms",
           (unsigned long long)failing_call_ms(client, "nowhere.test"));
    ferry_close(client);
}

static void a_silent_name_server_delays_no_other_client(void) {
    uint64_t start_ms, took_ms, worst_ms = 0, close_ms;
    Bystander *bystander;
    ferry_client *client;
    Noticed noticed;
    Daemon broker;

    daemon_start(&broker, &(DaemonOptions){.tcp = true});
    bystander = bystander_start(broker.url);
    client = open_named("never.test", 5877);
    took_ms = failing_call_ms(client, "is still being looked up");
    /* The loop runs all the time. */
    start_ms = clock_ms();
    while (clock_ms() < start_ms + SOON_MS) {
        uint64_t turn_ms = clock_ms();

        ferry_process(client, NULL);
        turn_ms = clock_ms() - turn_ms;
        worst_ms = turn_ms > worst_ms ? turn_ms : worst_ms;
        sleep_ms(1);
    }
    start_ms = clock_ms();
    ferry_close(client);
    close_ms = clock_ms() - start_ms;
    noticed = bystander_stop(bystander);
    printf("\n    a name server that is silent: a call of 500 ms fails after %llu ms, a turn takes "
           "at most %llu ms, the close %llu ms; another client of the process: %ld calls, %ld "
           "failed, worst %.1f ms",
           (unsigned long long)took_ms, (unsigned long long)worst_ms, (unsigned long long)close_ms,
           noticed.n_calls, noticed.n_failed, noticed.worst_ms);
    CU_ASSERT(worst_ms <= AT_ONCE_MS);
    CU_ASSERT(close_ms <= CLOSE_MS);
    CU_ASSERT_EQUAL(noticed.n_failed, 0);
    CU_ASSERT(noticed.n_calls > 10);
    daemon_end(&broker);
}

static void closing_the_last_client_does_not_wait_for_a_name(void) {
    ferry_client *client = open_named("never.test", 5877);
    uint64_t start_ms = clock_ms(), close_ms;

    turn_for(client, 100);
    start_ms = clock_ms();
    ferry_close(client);
    close_ms = clock_ms() - start_ms;
    printf("\n    and the last client of a process is closed after %llu ms",
           (unsigned long long)close_ms);
    CU_ASSERT(close_ms <= CLOSE_MS);
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
    CU_ASSERT(slow_ms <= PATIENCE_MS);
    CU_ASSERT(fast_ms <= PATIENCE_MS);
    CU_ASSERT(local_ms <= PATIENCE_MS);
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
    CU_ASSERT(six_ms <= PATIENCE_MS);
    CU_ASSERT(both_ms <= PATIENCE_MS);
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
