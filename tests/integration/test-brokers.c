/* SPDX-License-Identifier: Apache-2.0 */

/* Clients with a list of brokers in their URL, while brokers come and go. */

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "support/broker.h"
#include "support/suite.h"

enum { N = 3, PUSHES = 500 };

static TestBroker brokers[N];
static const ferry_bytes one = {"\x01", 1, NULL};
static const ferry_options idempotent = {.idempotent = true};

/* ---- the scene ---- */

/* A list of the brokers in this order, for example "201". */
static const char *list(const char *order, const char *query) {
    static char url[N * 128 + 64];

    *url = '\0';
    for (const char *at = order; *at; at++)
        sprintf(url + strlen(url), "%s%s", at > order ? "," : "", brokers[*at - '0'].url);
    return strcat(url, query);
}

static ferry_client *open_client(const char *url, const ferry_options *options) {
    ferry_client *client = NULL;

    CU_ASSERT_EQUAL_FATAL(ferry_open(url, options, &client, NULL), 0);
    return client;
}

/* Returns the number of the broker that the server uses. */
static int where(ferry_request *request, void *ctx) {
    const char number = (char)*(int *)ctx; /* as MessagePack */

    return ferry_request_return(request, ferry_bytes_of(&number, 1));
}

static ferry_request *held;

static int hold(ferry_request *request, void *ctx) {
    (void)ctx;
    __atomic_store_n(&held, ferry_request_defer(request), __ATOMIC_RELEASE);
    return 0;
}

static void let_go(void *ctx) {
    (void)ctx;
    ferry_request_return(held, one);
}

static int set_up(ferry_client *client, void *ctx) {
    const ferry_serve_options slots = {.slots = 1000};

    return ferry_serve_method(client, "test.Where.where", &slots, where, ctx, NULL, NULL) < 0 ||
                   ferry_serve_method(client, "test.Where.hold", &slots, hold, NULL, NULL, NULL) < 0
               ? -1
               : 0;
}

static int numbers[N] = {0, 1, 2};
static Runner servers[N];

static void start_servers(void) {
    for (int i = 0; i < N; i++)
        runner_start(&servers[i], &brokers[i], set_up, &numbers[i]);
}

static void stop_servers(void) {
    for (int i = 0; i < N; i++)
        runner_stop(&servers[i]);
}

/* The number of the broker that handles the client's calls, or a negative errno. */
static int ask(ferry_client *client) {
    ferry_reply *reply = NULL;
    ferry_error error = FERRY_ERROR_INIT;
    int r = ferry_call(client, "test.Where.where", one, &reply, &error);

    if (r < 0)
        ferry_error_print(&error, stderr);
    else
        r = (int)reply_int(reply);
    ferry_error_clear(&error);
    ferry_free(reply);
    return r;
}

/* ---- the tests ---- */

static void a_client_uses_the_first_broker_if_it_prefers_the_order(void) {
    ferry_client *client = open_client(list("201", "?prefer=order"), NULL);

    start_servers();
    CU_ASSERT_EQUAL(ask(client), 2);
    ferry_close(client);
    stop_servers();
}

static void the_options_choose_the_first_broker_unless_the_url_does(void) {
    const ferry_options order = {.prefer = FERRY_PREFER_ORDER}, any = {.prefer = FERRY_PREFER_ANY};

    start_servers();
    for (int i = 0; i < 20; i++) {
        ferry_client *client = open_client(list("201", ""), &order);
        ferry_client *other = open_client(list("120", "?prefer=order"), &any);

        CU_ASSERT_EQUAL(ask(client), 2);
        CU_ASSERT_EQUAL(ask(other), 1);
        ferry_close(client);
        ferry_close(other);
    }
    stop_servers();
}

static void an_unknown_preference_is_refused(void) {
    ferry_error error = FERRY_ERROR_INIT;
    ferry_client *client = NULL;

    CU_ASSERT_EQUAL(ferry_open(list("01", ""), &(ferry_options){.prefer = 3}, &client, &error),
                    -EINVAL);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "FERRY_PREFER_ORDER"));
    CU_ASSERT_EQUAL(ferry_open(list("01", ""), &(ferry_options){.reserved32 = 1}, &client, &error),
                    -EINVAL);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "reserved"));
    ferry_error_clear(&error);
}

static void clients_without_a_preference_spread_over_the_brokers(void) {
    int n[N] = {0};

    start_servers();
    /* The probability that 60 clients miss one of three brokers is below 1 in 10^10. */
    for (int i = 0; i < 60; i++) {
        ferry_client *client = open_client(list("012", ""), NULL);
        int broker = ask(client);

        CU_ASSERT_FATAL(broker >= 0);
        n[broker]++;
        ferry_close(client);
    }
    CU_ASSERT_TRUE(n[0] > 0 && n[1] > 0 && n[2] > 0);
    stop_servers();
}

static void calls_that_were_not_begun_move_to_another_broker(void) {
    ferry_client *client;

    start_servers();
    broker_kill(&brokers[0]);
    client = open_client(list("012", "?prefer=order"), NULL);
    CU_ASSERT_EQUAL(ask(client), 1);
    broker_kill(&brokers[1]);
    /* The client notices the loss now, or when it sends the call. */
    ferry_ping(client, NULL, NULL);
    CU_ASSERT_EQUAL(ask(client), 2);
    ferry_close(client);
    broker_respawn(&brokers[0]);
    broker_respawn(&brokers[1]);
    stop_servers();
}

typedef struct Ends {
    int ok, failed, unknown;
    int ended;
} Ends;

static void end(const ferry_reply *reply, const ferry_error *error, void *ctx) {
    Ends *ends = ctx;

    (void)reply;
    ends->ok += error == NULL;
    ends->failed += error != NULL;
    ends->unknown += error && error->outcome_unknown;
    ends->ended++;
}

static void the_outcome_of_a_call_is_unknown_if_its_broker_is_lost(void) {
    ferry_client *client = open_client(list("012", "?prefer=order"), NULL);
    Ends ends = {0};

    start_servers();
    CU_ASSERT_EQUAL(ask(client), 0);
    CU_ASSERT_EQUAL(ferry_call_async(client, "test.Where.hold", one, end, &ends, NULL), 0);
    while (!__atomic_load_n(&held, __ATOMIC_ACQUIRE))
        usleep(1000);
    broker_kill(&brokers[0]);
    CU_ASSERT_TRUE(process_until(client, &ends.ended, 1));
    CU_ASSERT_EQUAL(ends.unknown, 1);
    ferry_post(servers[0].client, let_go, NULL);
    CU_ASSERT_EQUAL(ask(client), 1);
    ferry_close(client);
    broker_respawn(&brokers[0]);
    stop_servers();
}

static void idempotent_calls_are_repeated_at_another_broker(void) {
    ferry_client *client = open_client(list("012", "?prefer=order"), &idempotent);
    Ends ends = {0};

    start_servers();
    CU_ASSERT_EQUAL(ask(client), 0);
    /* The broker is stopped, so it does not answer the calls. */
    kill(brokers[0].pid, SIGSTOP);
    for (int i = 0; i < 5; i++)
        CU_ASSERT_EQUAL(ferry_call_async(client, "test.Where.where", one, end, &ends, NULL), 0);
    ferry_process(client, NULL);
    broker_kill(&brokers[0]);
    CU_ASSERT_TRUE(process_until(client, &ends.ended, 5));
    CU_ASSERT_EQUAL(ends.ok, 5);
    ferry_close(client);
    broker_respawn(&brokers[0]);
    stop_servers();
}

static void pushed(const ferry_error *error, void *ctx) {
    end(NULL, error, ctx);
}

static void unconfirmed_pushes_go_to_another_broker(void) {
    ferry_client *client = open_client(list("012", "?prefer=order"), NULL);
    ferry_pushed where_to[PUSHES] = {0};
    Ends ends = {0};
    int status;

    CU_ASSERT_EQUAL(ferry_ping(client, NULL, NULL), 0);
    kill(brokers[0].pid, SIGSTOP);
    CU_ASSERT_EQUAL(waitpid(brokers[0].pid, &status, WUNTRACED), brokers[0].pid);
    for (int i = 0; i < PUSHES; i++) {
        const ferry_push_options options = {.pushed = &where_to[i]};

        CU_ASSERT_EQUAL(ferry_push_async(client, "jobs", one, &options, pushed, &ends, NULL), 0);
    }
    ferry_process(client, NULL);
    CU_ASSERT_EQUAL(ends.ended, 0);
    broker_kill(&brokers[0]);
    CU_ASSERT_TRUE(process_until(client, &ends.ended, PUSHES));
    CU_ASSERT_EQUAL(ends.ok, PUSHES);
    for (int i = 1; i < PUSHES; i++)
        CU_ASSERT_TRUE(where_to[i].job > where_to[i - 1].job && !where_to[i].duplicate);
    ferry_close(client);
    broker_respawn(&brokers[0]);
}

/* ---- servers, workers and subscribers ---- */

typedef struct Site {
    int number; /* the answer of its service */
    int n_jobs, n_messages;
    ferry_registration *service;
} Site;

static int count_job(ferry_job *job, void *ctx) {
    Site *site = ctx;

    (void)job;
    __atomic_add_fetch(&site->n_jobs, 1, __ATOMIC_RELEASE);
    return 0;
}

static void count_message(const ferry_message *message, void *ctx) {
    Site *site = ctx;

    (void)message;
    __atomic_add_fetch(&site->n_messages, 1, __ATOMIC_RELEASE);
}

static int set_up_site(ferry_client *client, void *ctx) {
    Site *site = ctx;
    ferry_error error = FERRY_ERROR_INIT;
    int r = ferry_work(client, "tasks", NULL, count_job, site, NULL, &error);

    if (r == 0)
        r = ferry_subscribe(client, "news.*", NULL, count_message, site, NULL, &error);
    if (r == 0)
        r = ferry_serve_method(client, "test.Where.where", NULL, where, &site->number,
                               &site->service, &error);
    if (r < 0)
        ferry_error_print(&error, stderr);
    ferry_error_clear(&error);
    return r;
}

/* All brokers, as one URL. */
static TestBroker all;

static void await(const int *n, int wanted) {
    for (int i = 0; i < 10000 && __atomic_load_n(n, __ATOMIC_ACQUIRE) < wanted; i++)
        usleep(1000);
    CU_ASSERT_EQUAL(__atomic_load_n(n, __ATOMIC_ACQUIRE), wanted);
}

static void a_server_a_worker_and_a_subscriber_are_at_every_broker(void) {
    const ferry_options waits = {.wait_for_server = true};
    Site site = {.number = 7};
    Runner runner;

    runner_start(&runner, &all, set_up_site, &site);
    for (int i = 0; i < N; i++) {
        /* A broker that answers late gets the registrations later, and the service last. */
        ferry_client *client = open_client(brokers[i].url, &waits);

        CU_ASSERT_EQUAL(ask(client), 7);
        CU_ASSERT_EQUAL(ferry_push(client, "tasks", one, NULL, NULL), 0);
        CU_ASSERT_EQUAL(ferry_publish(client, "news.today", one, NULL, NULL), 0);
        ferry_close(client);
    }
    await(&site.n_jobs, N);
    await(&site.n_messages, N);
    runner_stop(&runner);
    for (int i = 0; i < N; i++) {
        ferry_client *client = connect_client(&brokers[i]);
        ferry_error error = FERRY_ERROR_INIT;

        CU_ASSERT_EQUAL(ferry_call(client, "test.Where.where", one, NULL, &error), -EHOSTUNREACH);
        CU_ASSERT_STRING_EQUAL(error.type, "ferry.NoSuchService");
        ferry_error_clear(&error);
        ferry_close(client);
    }
}

static void a_broker_that_comes_later_gets_the_service(void) {
    Site site = {.number = 7};
    ferry_client *client;
    Runner runner;

    broker_kill(&brokers[1]);
    runner_start(&runner, &all, set_up_site, &site);
    broker_respawn(&brokers[1]);
    client = open_client(brokers[1].url, &(ferry_options){.wait_for_server = true});
    CU_ASSERT_EQUAL(ask(client), 7);
    ferry_close(client);
    runner_stop(&runner);
}

static void a_client_without_a_broker_cannot_serve(void) {
    ferry_client *client =
        open_client("ipc:///nowhere/a,ipc:///nowhere/b", &(ferry_options){.timeout_ms = 200});
    ferry_error error = FERRY_ERROR_INIT;
    int number = 0;

    CU_ASSERT_EQUAL(
        ferry_serve_method(client, "test.Where.where", NULL, where, &number, NULL, &error),
        -ENOTCONN);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "none of the 2 brokers"));
    ferry_error_clear(&error);
    ferry_close(client);
}

static void a_refusal_of_one_broker_undoes_the_service_at_all(void) {
    const ferry_serve_options unique = {.instance = "the-one"};
    ferry_client *holder = connect_client(&brokers[2]), *client = open_client(all.url, NULL);
    ferry_client *caller = connect_client(&brokers[0]);
    int number = 1, r = 0;

    CU_ASSERT_EQUAL(ferry_serve_method(holder, "test.One.who", &unique, where, &number, NULL, NULL),
                    0);
    CU_ASSERT_TRUE(ferry_serve_method(client, "test.One.who", &unique, where, &number, NULL, NULL) <
                   0);
    for (int i = 0; i < 10000 && r != -EHOSTUNREACH; i++) {
        r = ferry_call(caller, "test.One.who", one, NULL, NULL);
        usleep(1000);
    }
    CU_ASSERT_EQUAL(r, -EHOSTUNREACH);
    ferry_close(caller);
    ferry_close(client);
    ferry_close(holder);
}

static void a_blocking_call_does_not_go_to_the_callers_own_service(void) {
    Site site = {.number = 7};
    Runner runner;
    ferry_client *client = open_client(all.url, &(ferry_options){.timeout_ms = 60000});
    int own = 1;

    runner_start(&runner, &all, set_up_site, &site);
    CU_ASSERT_EQUAL(ferry_serve_method(client, "test.Where.where", NULL, where, &own, NULL, NULL),
                    0);
    for (int i = 0; i < 20; i++)
        CU_ASSERT_EQUAL(ask(client), 7);
    ferry_close(client);
    runner_stop(&runner);
}

static void one_descriptor_drives_the_sessions_with_all_brokers(void) {
    Site site = {.number = 5};
    ferry_client *client = open_client(all.url, NULL), *callers[N];
    Ends ends = {0};
    struct pollfd input = {.events = POLLIN};

    CU_ASSERT_EQUAL(set_up_site(client, &site), 0);
    input.fd = ferry_fd(client);
    for (int i = 0; i < N; i++) {
        callers[i] = connect_client(&brokers[i]);
        CU_ASSERT_EQUAL(ferry_call_async(callers[i], "test.Where.where", one, end, &ends, NULL), 0);
    }
    for (int i = 0; i < 1000 && ends.ended < N; i++) {
        if (poll(&input, 1, 10) == 1)
            ferry_process(client, NULL);
        for (int k = 0; k < N; k++)
            ferry_process(callers[k], NULL);
    }
    CU_ASSERT_EQUAL(ends.ok, N);
    /* An idle client is silent. */
    while (poll(&input, 1, 100) == 1)
        ferry_process(client, NULL);
    CU_ASSERT_EQUAL(poll(&input, 1, 0), 0);
    for (int i = 0; i < N; i++)
        ferry_close(callers[i]);
    ferry_close(client);
}

static void a_registration_is_closed_at_every_broker(void) {
    Site site = {.number = 5};
    ferry_client *client = open_client(all.url, NULL);

    CU_ASSERT_EQUAL(set_up_site(client, &site), 0);
    CU_ASSERT_EQUAL(ferry_service_ready(site.service, false, NULL), 0);
    CU_ASSERT_EQUAL(ferry_service_ready(site.service, false, NULL), 0);
    CU_ASSERT_EQUAL(ferry_service_ready(site.service, true, NULL), 0);
    ferry_registration_close(site.service);
    for (int i = 0; i < N; i++) {
        ferry_client *caller = connect_client(&brokers[i]);

        CU_ASSERT_EQUAL(ferry_call(caller, "test.Where.where", one, NULL, NULL), -EHOSTUNREACH);
        ferry_close(caller);
    }
    ferry_close(client);
}

static int close_client(ferry_request *request, void *ctx) {
    ferry_request_return(request, one);
    ferry_close(ctx);
    return 0;
}

static void a_handler_may_close_the_client(void) {
    ferry_client *client = open_client(all.url, NULL), *caller = connect_client(&brokers[1]);
    Ends ends = {0};

    CU_ASSERT_EQUAL(
        ferry_serve_method(client, "test.End.end", NULL, close_client, client, NULL, NULL), 0);
    CU_ASSERT_EQUAL(ferry_call_async(caller, "test.End.end", one, end, &ends, NULL), 0);
    CU_ASSERT_EQUAL(ferry_run(client, NULL), 0);
    CU_ASSERT_TRUE(process_until(caller, &ends.ended, 1));
    CU_ASSERT_EQUAL(ends.ok, 1);
    ferry_close(caller);
}

/* ---- brokers that drain ---- */

static void a_broker_that_drains_hands_its_callers_over(void) {
    ferry_client *client = open_client(list("012", "?prefer=order"), NULL);
    Ends ends = {0};
    int broker = 0, n_failed = 0;

    start_servers();
    __atomic_store_n(&held, NULL, __ATOMIC_RELEASE);
    CU_ASSERT_EQUAL(ask(client), 0);
    CU_ASSERT_EQUAL(ferry_call_async(client, "test.Where.hold", one, end, &ends, NULL), 0);
    while (!__atomic_load_n(&held, __ATOMIC_ACQUIRE))
        usleep(1000);
    kill(brokers[0].pid, SIGTERM);
    /* These calls may be repeated only if no server has begun them. */
    for (int i = 0; i < 10000 && broker == 0; i++) {
        broker = ask(client);
        n_failed += broker < 0;
    }
    CU_ASSERT_EQUAL(n_failed, 0);
    CU_ASSERT_EQUAL(broker, 1);
    /* The call that was under way is answered by the broker that drains. */
    CU_ASSERT_EQUAL(ends.ended, 0);
    ferry_post(servers[0].client, let_go, NULL);
    CU_ASSERT_TRUE(process_until(client, &ends.ended, 1));
    CU_ASSERT_EQUAL(ends.ok, 1);
    CU_ASSERT_EQUAL(waitpid(brokers[0].pid, NULL, 0), brokers[0].pid);
    CU_ASSERT_EQUAL(ask(client), 1);
    ferry_close(client);
    broker_respawn(&brokers[0]);
    stop_servers();
}

/* The client reads the request to leave and the end of the connection in one turn. */
static void a_broker_that_has_drained_before_the_next_turn_is_left(void) {
    ferry_client *client = open_client(list("012", "?prefer=order"), NULL);

    start_servers();
    CU_ASSERT_EQUAL(ask(client), 0);
    kill(brokers[0].pid, SIGTERM);
    CU_ASSERT_EQUAL(waitpid(brokers[0].pid, NULL, 0), brokers[0].pid);
    ferry_process(client, NULL);
    CU_ASSERT_EQUAL(ask(client), 1);
    ferry_close(client);
    broker_respawn(&brokers[0]);
    stop_servers();
}

static void calls_pushes_and_publishes_go_on_while_a_broker_drains(void) {
    ferry_client *client = open_client(list("012", "?prefer=order"), NULL);
    Ends calls = {0}, pushes = {0}, publishes = {0};
    const ferry_publish_options publish = {.fn = pushed, .ctx = &publishes};
    enum { WORK = 3000 };

    start_servers();
    CU_ASSERT_EQUAL(ask(client), 0);
    for (int i = 0; i < WORK; i++) {
        CU_ASSERT_EQUAL(ferry_call_async(client, "test.Where.where", one, end, &calls, NULL), 0);
        CU_ASSERT_EQUAL(ferry_push_async(client, "jobs", one, NULL, pushed, &pushes, NULL), 0);
        CU_ASSERT_EQUAL(ferry_publish(client, "news", one, &publish, NULL), 0);
        if (i == WORK / 2)
            kill(brokers[0].pid, SIGTERM);
        if (i % 10 == 0)
            ferry_process(client, NULL);
    }
    CU_ASSERT_TRUE(process_until(client, &calls.ended, WORK));
    CU_ASSERT_TRUE(process_until(client, &pushes.ended, WORK));
    CU_ASSERT_TRUE(process_until(client, &publishes.ended, WORK));
    CU_ASSERT_EQUAL(calls.ok, WORK);
    CU_ASSERT_EQUAL(pushes.ok, WORK);
    CU_ASSERT_EQUAL(publishes.ok, WORK);
    CU_ASSERT_EQUAL(waitpid(brokers[0].pid, NULL, 0), brokers[0].pid);
    CU_ASSERT_EQUAL(ask(client), 1);
    ferry_close(client);
    broker_respawn(&brokers[0]);
    stop_servers();
}

static void without_a_broker_the_error_says_that_all_were_tried(void) {
    ferry_client *client;
    ferry_error error = FERRY_ERROR_INIT;

    for (int i = 0; i < N; i++)
        broker_kill(&brokers[i]);
    client = open_client(list("012", ""), &(ferry_options){.timeout_ms = 500});
    CU_ASSERT_TRUE(ferry_call(client, "test.Where.where", one, NULL, &error) < 0);
    CU_ASSERT_PTR_NOT_NULL_FATAL(error.message);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "none of the 3 brokers of the URL can be used"));
    ferry_error_clear(&error);
    ferry_close(client);
    for (int i = 0; i < N; i++)
        broker_respawn(&brokers[i]);
}

static void a_bad_list_is_refused(void) {
    ferry_client *client = NULL;
    ferry_error error = FERRY_ERROR_INIT;

    CU_ASSERT_EQUAL(ferry_open("tcp://a:1,b:1", NULL, &client, &error), -EINVAL);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "each broker of a list is a URL"));
    ferry_error_clear(&error);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(a_client_uses_the_first_broker_if_it_prefers_the_order),
        TEST(the_options_choose_the_first_broker_unless_the_url_does),
        TEST(an_unknown_preference_is_refused),
        TEST(clients_without_a_preference_spread_over_the_brokers),
        TEST(calls_that_were_not_begun_move_to_another_broker),
        TEST(the_outcome_of_a_call_is_unknown_if_its_broker_is_lost),
        TEST(idempotent_calls_are_repeated_at_another_broker),
        TEST(unconfirmed_pushes_go_to_another_broker),
        TEST(a_server_a_worker_and_a_subscriber_are_at_every_broker),
        TEST(a_broker_that_comes_later_gets_the_service),
        TEST(a_client_without_a_broker_cannot_serve),
        TEST(a_refusal_of_one_broker_undoes_the_service_at_all),
        TEST(a_blocking_call_does_not_go_to_the_callers_own_service),
        TEST(one_descriptor_drives_the_sessions_with_all_brokers),
        TEST(a_registration_is_closed_at_every_broker),
        TEST(a_handler_may_close_the_client),
        TEST(a_broker_that_drains_hands_its_callers_over),
        TEST(a_broker_that_has_drained_before_the_next_turn_is_left),
        TEST(calls_pushes_and_publishes_go_on_while_a_broker_drains),
        TEST(without_a_broker_the_error_says_that_all_were_tried),
        TEST(a_bad_list_is_refused),
        TESTS_END,
    };
    int status;

    for (int i = 0; i < N; i++)
        broker_spawn(&brokers[i]);
    strcpy(all.url, list("012", ""));
    status = run_suite("client: several brokers", tests);
    for (int i = 0; i < N; i++)
        broker_terminate(&brokers[i]);
    return status;
}
