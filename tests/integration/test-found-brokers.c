/* SPDX-License-Identifier: Apache-2.0 */
/* Brokers that are found by a name: tcp+dns:// and tcp+srv://. */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "clients/c/core/core.h"
#include "support/broker.h"
#include "support/fake-dns.h"
#include "support/faults.h"
#include "support/process.h"
#include "support/suite.h"

enum { N = 3 };

/* Broker i listens at 127.0.0.(i + 2), all at the same port. */
static Daemon brokers[N];
static uint16_t port;
static const ferry_bytes one = {"\x01", 1, NULL};

/* ---- the scene ---- */

static void start_broker(int i) {
    static const char *const hosts[N] = {"127.0.0.2", "127.0.0.3", "127.0.0.4"};

    daemon_start(&brokers[i], &(DaemonOptions){.host = hosts[i], .port = port});
}

static ferry_client *open_client(const char *format, const ferry_options *options) {
    ferry_client *client = NULL;
    char url[128];

    snprintf(url, sizeof(url), format, port);
    CU_ASSERT_EQUAL_FATAL(ferry_open(url, options, &client, NULL), 0);
    return client;
}

static int where(ferry_request *request, void *ctx) {
    const char number = (char)*(int *)ctx; /* as MessagePack */

    return ferry_request_return(request, ferry_bytes_of(&number, 1));
}

static int set_up(ferry_client *client, void *ctx) {
    return ferry_serve_method(client, "test.Where.where", NULL, where, ctx, NULL, NULL);
}

static int numbers[N] = {0, 1, 2};
static Runner servers[N];
static TestBroker urls[N];

/* A server at each broker alone says where it is. */
static void start_all(void) {
    for (int i = 0; i < N; i++) {
        start_broker(i);
        snprintf(urls[i].url, sizeof(urls[i].url), "%s", brokers[i].url);
        runner_start(&servers[i], &urls[i], set_up, &numbers[i]);
    }
}

static void end_all(void) {
    for (int i = 0; i < N; i++) {
        runner_stop(&servers[i]);
        daemon_end(&brokers[i]);
    }
}

/* The number of the broker that handles the client's calls, or a negative errno. */
static int ask(ferry_client *client) {
    ferry_error error = FERRY_ERROR_INIT;
    ferry_reply *reply = NULL;
    int r = ferry_call(client, "test.Where.where", one, &reply, &error);

    if (r < 0)
        ferry_error_print(&error, stderr);
    else
        r = (int)reply_int(reply);
    ferry_error_clear(&error);
    ferry_free(reply);
    return r;
}

static void kill_broker(int i, ferry_client *client) {
    daemon_kill(&brokers[i]);
    /* The client notices the loss now, or when it sends the next call. */
    ferry_ping(client, NULL, NULL);
}

/* ---- callers ---- */

static void a_caller_uses_all_addresses_of_a_name(void) {
    ferry_client *client;
    int n[N] = {0};
    int first, second;

    start_all();
    fake_dns_set("brokers.test", "127.0.0.2 127.0.0.3 127.0.0.4");
    for (int i = 0; i < 60; i++) {
        int broker;

        client = open_client("tcp+dns://brokers.test:%u", NULL);
        broker = ask(client);
        CU_ASSERT_FATAL(broker >= 0);
        n[broker]++;
        ferry_close(client);
    }
    /* The probability that 60 clients miss one of three brokers is below 1 in 10^10. */
    CU_ASSERT_TRUE(n[0] > 0 && n[1] > 0 && n[2] > 0);
    client = open_client("tcp+dns://brokers.test:%u", NULL);
    first = ask(client);
    kill_broker(first, client);
    second = ask(client);
    CU_ASSERT_TRUE(second >= 0 && second != first);
    /* The name server forgets the name: the brokers that are known stay in use. */
    fake_dns_set("brokers.test", NULL);
    kill_broker(second, client);
    CU_ASSERT_EQUAL(ask(client), 3 - first - second);
    ferry_close(client);
    end_all();
}

static void srv_records_order_the_brokers(void) {
    ferry_client *client;
    char records[200];

    start_all();
    fake_dns_set("a.test", "127.0.0.2");
    fake_dns_set("b.test", "127.0.0.3");
    fake_dns_set("c.test", "127.0.0.4");
    snprintf(records, sizeof(records), "20 5 %u a.test;10 0 %u c.test;30 0 %u b.test", port, port,
             port);
    fake_dns_set("_ferry._tcp.shop.test", records);
    client = open_client("tcp+srv://shop.test", NULL);
    CU_ASSERT_EQUAL(ask(client), 2);
    kill_broker(2, client);
    CU_ASSERT_EQUAL(ask(client), 0);
    kill_broker(0, client);
    CU_ASSERT_EQUAL(ask(client), 1);
    ferry_close(client);
    end_all();
}

/* A broker moves to another host: the records that the client has read are out of date. */
static void a_moved_broker_is_looked_up_anew(void) {
    ferry_client *client;
    char records[200];

    start_all();
    fake_dns_set("a.test", "127.0.0.2");
    fake_dns_set("b.test", "127.0.0.3");
    snprintf(records, sizeof(records), "0 0 %u a.test", port);
    fake_dns_set("_ferry._tcp.moving.test", records);
    client = open_client("tcp+srv://moving.test", &(ferry_options){.wait_for_broker = true});
    CU_ASSERT_EQUAL(ask(client), 0);
    snprintf(records, sizeof(records), "0 0 %u b.test", port);
    fake_dns_set("_ferry._tcp.moving.test", records);
    kill_broker(0, client);
    CU_ASSERT_EQUAL(ask(client), 1);
    ferry_close(client);
    end_all();
}

static void expect_not_found(const char *url, const char *text) {
    ferry_client *client = open_client(url, &(ferry_options){.timeout_ms = 1000});
    ferry_error error = FERRY_ERROR_INIT;
    int number = 0;

    CU_ASSERT_TRUE(ferry_call(client, "test.Where.where", one, NULL, &error) < 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, text));
    if (!strstr(error.message, text))
        ferry_error_print(&error, stdout);
    ferry_error_clear(&error);
    CU_ASSERT_EQUAL(
        ferry_serve_method(client, "test.Where.where", NULL, where, &number, NULL, &error),
        -ENOTCONN);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, text));
    ferry_error_clear(&error);
    ferry_close(client);
}

static void a_name_without_brokers_is_reported(void) {
    fake_dns_set("_ferry._tcp.closed.test", "0 0 0 .");
    fake_dns_set("_ferry._tcp.bad.test", "0 0 0 a.test;0 0 1 a/b.test");
    expect_not_found("tcp+dns://nowhere.test:%u", "cannot find the brokers of tcp+dns://nowhere");
    expect_not_found("tcp+srv://nowhere.test",
                     "there are no SRV records for _ferry._tcp.nowhere.test");
    expect_not_found("tcp+srv://closed.test", "there is no such service");
    expect_not_found("tcp+srv://bad.test", "none of its SRV records has a host and a port");
}

static void without_a_name_server_the_client_says_so(void) {
    expect_not_found("tcp+srv://never.test", "still being looked up");
}

/* ---- servers, workers and subscribers ---- */

typedef struct Site {
    int n_jobs, n_messages, n_closed;
} Site;

static int count_job(ferry_job *job, void *ctx) {
    (void)job;
    ((Site *)ctx)->n_jobs++;
    return 0;
}

static void count_message(const ferry_message *message, void *ctx) {
    (void)message;
    ((Site *)ctx)->n_messages++;
}

static void note_event(int event, const ferry_error *error, void *ctx) {
    (void)error;
    ((Site *)ctx)->n_closed += event == FERRY_EVENT_CLOSED;
}

static void register_all(ferry_client *client, Site *site) {
    static int number = 7;

    CU_ASSERT_EQUAL_FATAL(set_up(client, &number), 0);
    CU_ASSERT_EQUAL_FATAL(ferry_work(client, "tasks", NULL, count_job, site, NULL, NULL), 0);
    CU_ASSERT_EQUAL_FATAL(ferry_subscribe(client, "news.*", NULL, count_message, site, NULL, NULL),
                          0);
}

static void end(const ferry_reply *reply, const ferry_error *error, void *ctx) {
    (void)reply;
    *(int *)ctx += error == NULL;
}

static void done(const ferry_error *error, void *ctx) {
    CU_ASSERT_PTR_NULL(error);
    (void)ctx;
}

/* The service, the worker and the subscription of the client are at this broker. */
static void expect_all_at(int i, ferry_client *client, Site *site) {
    ferry_client *caller = open_with(
        brokers[i].url, &(ferry_options){.wait_for_server = true, .timeout_ms = PATIENCE_MS});
    ferry_client *both[] = {client, caller};
    int n_answers = 0, n_jobs = site->n_jobs, n_messages = site->n_messages;

    CU_ASSERT_EQUAL(ferry_call_async(caller, "test.Where.where", one, end, &n_answers, NULL), 0);
    CU_ASSERT_TRUE(turn_all_until(both, 2, &n_answers, 1, PATIENCE_MS));
    CU_ASSERT_EQUAL(ferry_push_async(caller, "tasks", one, NULL, done, NULL, NULL), 0);
    CU_ASSERT_TRUE(turn_all_until(both, 2, &site->n_jobs, n_jobs + 1, PATIENCE_MS));
    for (int k = 0; k < 10000 && site->n_messages == n_messages; k++) {
        CU_ASSERT_EQUAL(ferry_publish(caller, "news.today", one, NULL, NULL), 0);
        turn_all_for(both, 2, 10);
    }
    CU_ASSERT_TRUE(site->n_messages > n_messages);
    ferry_close(caller);
}

static bool has_members(ferry_client *client, unsigned n) {
    uint64_t until_ms = clock_ms() + PATIENCE_MS;

    while (client->core->n_members != n && clock_ms() < until_ms)
        turn_for(client, 10);
    return client->core->n_members == n;
}

static void start_brokers(int n) {
    for (int i = 0; i < n; i++)
        start_broker(i);
}

static void end_brokers(int n) {
    for (int i = 0; i < n; i++)
        daemon_end(&brokers[i]);
}

static void registrations_follow_the_name_after_a_lost_session(void) {
    Site site = {0};
    ferry_client *client;

    start_brokers(N);
    fake_dns_set("all.test", "127.0.0.2 127.0.0.3");
    client = open_client("tcp+dns://all.test:%u", NULL);
    register_all(client, &site);
    expect_all_at(0, client, &site);
    expect_all_at(1, client, &site);
    /* The first broker leaves, and a third one comes. */
    fake_dns_set("all.test", "127.0.0.3 127.0.0.4");
    daemon_kill(&brokers[0]);
    /* The leader may use the second broker. Each lost session of the leader causes a lookup. */
    daemon_kill(&brokers[1]);
    daemon_restart(&brokers[1]);
    expect_all_at(2, client, &site);
    expect_all_at(1, client, &site);
    CU_ASSERT_TRUE(has_members(client, 2));
    ferry_close(client);
    end_brokers(N);
}

static void registrations_follow_the_name_without_a_lost_session(void) {
    Site site = {0};
    ferry_client *client;

    start_brokers(2);
    fake_dns_set("grows.test", "127.0.0.2");
    client = open_client("tcp+dns://grows.test:%u", NULL);
    register_all(client, &site);
    CU_ASSERT_TRUE(has_members(client, 1));
    fake_dns_set("grows.test", "127.0.0.2 127.0.0.3");
    /* The name is looked up each 30 s. */
    expect_all_at(1, client, &site);
    expect_all_at(0, client, &site);
    /* A broker that leaves the name keeps its session until the session ends. */
    fake_dns_set("grows.test", "127.0.0.3");
    expect_all_at(0, client, &site);
    ferry_close(client);
    end_brokers(2);
}

static int n_sessions(ferry_client *client, ferry_client *other) {
    ferry_client *both[] = {client, other};

    turn_all_for(both, 2, 100);
    return (int)broker_stat(other, "sessions");
}

/* A broker that listens at several addresses of the name gets one session for services. */
static void addresses_of_one_broker_cause_one_session_and_no_event(void) {
    Site site = {0};
    ferry_client *client, *other;
    Daemon *broker = &brokers[0];
    int number = 7;

    daemon_start(broker, &(DaemonOptions){.host = "0.0.0.0", .port = port});
    fake_dns_set("twins.test", "127.0.0.2 127.0.0.3");
    client = open_client("tcp+dns://twins.test:%u",
                         &(ferry_options){.on_event = note_event, .ctx = &site});
    CU_ASSERT_EQUAL(set_up(client, &number), 0);
    other = open_with(broker->url, NULL);
    for (int i = 0; i < 1000 && n_sessions(client, other) != 3; i++)
        continue;
    /* The leader, one member, and this client. */
    CU_ASSERT_EQUAL(n_sessions(client, other), 3);
    CU_ASSERT_EQUAL(site.n_closed, 0);
    ferry_close(other);
    daemon_end(broker);
    /* Whichever address has the session, the service comes back at the one that answers. */
    for (int i = 0; i < 2; i++) {
        ferry_client *caller, *both[2];
        int n_answers = 0;

        start_broker(i);
        caller = open_with(brokers[i].url,
                           &(ferry_options){.wait_for_server = true, .timeout_ms = PATIENCE_MS});
        both[0] = client, both[1] = caller;
        CU_ASSERT_EQUAL(ferry_call_async(caller, "test.Where.where", one, end, &n_answers, NULL),
                        0);
        CU_ASSERT_TRUE(turn_all_until(both, 2, &n_answers, 1, PATIENCE_MS));
        ferry_close(caller);
        daemon_end(&brokers[i]);
    }
    ferry_close(client);
}

static void a_bad_name_is_refused(void) {
    static const char *const bad[] = {"tcp+dns://brokers.test",
                                      "tcp+dns://127.0.0.1:5877",
                                      "tcp+dns://[::1]:5877",
                                      "tcp+srv://a.test:5877",
                                      "tcp+srv://",
                                      "tcp+srv://a.test,tcp://b:1",
                                      "tcp+srv://a b",
                                      "tcp+srv://a.test?prefer=nearest"};

    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        ferry_error error = FERRY_ERROR_INIT;
        ferry_client *client = NULL;

        CU_ASSERT_EQUAL(ferry_open(bad[i], NULL, &client, &error), -EINVAL);
        CU_ASSERT_PTR_NOT_NULL(error.message);
        ferry_error_clear(&error);
    }
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(a_caller_uses_all_addresses_of_a_name),
        TEST(srv_records_order_the_brokers),
        TEST(a_moved_broker_is_looked_up_anew),
        TEST(a_name_without_brokers_is_reported),
        TEST(without_a_name_server_the_client_says_so),
        TEST(registrations_follow_the_name_after_a_lost_session),
        TEST(registrations_follow_the_name_without_a_lost_session),
        TEST(addresses_of_one_broker_cause_one_session_and_no_event),
        TEST(a_bad_name_is_refused),
        TESTS_END,
    };

    fake_dns_start();
    port = free_port();
    return run_suite("client: brokers that are found by a name", tests);
}
