/* SPDX-License-Identifier: Apache-2.0 */

/* URLs that list brokers of two clusters, or one broker twice. */

#include <errno.h>
#include <string.h>

#include "ferry-broker.h"
#include "support/broker.h"
#include "support/process.h"
#include "support/suite.h"

enum { N = 2 };

static Daemon daemons[N];
static ferry_error error;

static int say(ferry_request *request, void *ctx) {
    (void)ctx;
    return ferry_request_return(request, request->body);
}

static int serve(ferry_client *client) {
    int r = ferry_serve_method(client, "test.Echo.say", NULL, say, NULL, NULL, &error);

    if (r < 0)
        ferry_error_print(&error, stdout);
    return r;
}

/* NULL: the broker has no configuration. */
static ferry_client *connect_to_both(const char *first, const char *second) {
    const ferry_options options = {.timeout_ms = 60000};
    ferry_client *client = NULL;
    char url[300];

    daemon_start(&daemons[0], &(DaemonOptions){.config = first});
    daemon_start(&daemons[1], &(DaemonOptions){.config = second});
    snprintf(url, sizeof(url), "%s,%s?prefer=order", daemons[0].url, daemons[1].url);
    CU_ASSERT_EQUAL_FATAL(ferry_open(url, &options, &client, NULL), 0);
    return client;
}

static void end(ferry_client *client) {
    ferry_close(client);
    for (int i = 0; i < N; i++) {
        daemon_kill(&daemons[i]);
        daemon_end(&daemons[i]);
    }
    ferry_error_clear(&error);
}

static ferry_broker_counters *counters_of(const Daemon *daemon) {
    ferry_broker_counters *counters = NULL;
    ferry_client *client = NULL;

    CU_ASSERT_EQUAL_FATAL(ferry_open(daemon->url, NULL, &client, NULL), 0);
    CU_ASSERT_EQUAL_FATAL(ferry_broker_stats(client, &counters, NULL), 0);
    ferry_close(client);
    return counters;
}

static void brokers_of_two_clusters_are_not_mixed(void) {
    ferry_client *client =
        connect_to_both("[broker]\ncluster = east\n", "[broker]\ncluster = west\n");
    ferry_broker_counters *counters;

    CU_ASSERT_EQUAL(ferry_push(client, "jobs", ferry_str("x"), NULL, &error), 0);
    CU_ASSERT_EQUAL(serve(client), -EINVAL);
    CU_ASSERT_STRING_EQUAL(error.type, "ferry.Misuse");
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "'west'"));
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "'east'"));
    /* Without a broker of its cluster the client fails, and sends nothing to the other one. */
    daemon_kill(&daemons[0]);
    CU_ASSERT(ferry_call(client, "test.Echo.say", ferry_str("x"), NULL, &error) < 0);
    ferry_publish(client, "news", ferry_str("x"), NULL, NULL);
    counters = counters_of(&daemons[1]);
    CU_ASSERT_EQUAL(counters->pushed, 0);
    CU_ASSERT_EQUAL(counters->published, 0);
    ferry_free(counters);
    end(client);
}

static void a_broker_without_a_name_is_in_any_cluster(void) {
    ferry_client *client = connect_to_both("[broker]\ncluster = east\n", NULL);

    CU_ASSERT_EQUAL(serve(client), 0);
    end(client);
    client = connect_to_both("[broker]\ncluster = east\n", "[broker]\ncluster = east\n");
    CU_ASSERT_EQUAL(serve(client), 0);
    end(client);
}

static void note(const ferry_message *message, void *ctx) {
    (void)message;
    ++*(int *)ctx;
}

static int n_closed;

static void on_event(int event, const ferry_error *problem, void *ctx) {
    (void)ctx;
    if (event != FERRY_EVENT_CLOSED)
        return;
    n_closed++;
    CU_ASSERT_PTR_NOT_NULL(strstr(problem->message, "it is the same broker as"));
}

static void a_broker_that_is_listed_twice_has_one_session_for_services(void) {
    const ferry_options options = {.on_event = on_event, .timeout_ms = 60000};
    ferry_broker_list_session_status *sessions = NULL;
    ferry_client *client = NULL;
    int n_serve = 0, n_messages = 0;
    char url[300];

    daemon_start(&daemons[0], &(DaemonOptions){.host = "127.0.0.1"});
    snprintf(url, sizeof(url), "%s,%s", daemons[0].url, daemons[0].tcp_url);
    CU_ASSERT_EQUAL_FATAL(ferry_open(url, &options, &client, NULL), 0);
    CU_ASSERT_EQUAL(serve(client), 0);
    CU_ASSERT_TRUE(process_until(client, &n_closed, 1));
    CU_ASSERT_EQUAL(ferry_subscribe(client, "news", NULL, note, &n_messages, NULL, &error), 0);
    CU_ASSERT_EQUAL(ferry_publish(client, "news", ferry_str("x"), NULL, &error), 0);
    CU_ASSERT_TRUE(process_until(client, &n_messages, 1));
    CU_ASSERT_EQUAL_FATAL(ferry_broker_sessions(client, &sessions, NULL), 0);
    for (uint32_t i = 0; i < sessions->n; i++)
        n_serve += sessions->v[i].serves > 0;
    CU_ASSERT_EQUAL(n_serve, 1);
    CU_ASSERT_EQUAL(n_closed, 1);
    ferry_free(sessions);
    ferry_close(client);
    daemon_kill(&daemons[0]);
    daemon_end(&daemons[0]);
}

static void a_bad_name_is_an_error(void) {
    Daemon *daemon = &daemons[0];
    char said[1000];

    daemon_start(daemon, &(DaemonOptions){.config = "[broker]\ncluster = east\n"});
    daemon_configure(daemon, "[broker]\ncluster = a b\n");
    CU_ASSERT_NOT_EQUAL(daemon_start_second(daemon, said, sizeof(said)), 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(said, "cluster = a b"));
    daemon_kill(daemon);
    daemon_end(daemon);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(brokers_of_two_clusters_are_not_mixed),
        TEST(a_broker_without_a_name_is_in_any_cluster),
        TEST(a_broker_that_is_listed_twice_has_one_session_for_services),
        TEST(a_bad_name_is_an_error),
        TESTS_END,
    };

    return run_suite("client: clusters of brokers", tests);
}
