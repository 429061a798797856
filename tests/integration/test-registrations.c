/* SPDX-License-Identifier: Apache-2.0 */
/* Services, workers and subscriptions are closed one by one, while their client continues. */

#include "support/broker.h"
#include "support/suite.h"

enum { CALLS = 20, JOBS = 10 };

static TestBroker broker;

typedef struct Counter {
    int n;
    ferry_registration *close_me;
} Counter;

static int answer(ferry_request *request, void *ctx) {
    Counter *counter = ctx;

    counter->n++;
    if (counter->close_me)
        counter->close_me = ferry_registration_close(counter->close_me);
    return ferry_request_return(request, ferry_bytes_of("\x07", 1));
}

static int count_job(ferry_job *job, void *ctx) {
    (void)job;
    ((Counter *)ctx)->n++;
    return 0;
}

static void count_message(const ferry_message *message, void *ctx) {
    (void)message;
    ((Counter *)ctx)->n++;
}

static void count_reply(const ferry_reply *reply, const ferry_error *error, void *ctx) {
    CU_ASSERT_PTR_NULL(error);
    *(int *)ctx += reply != NULL;
}

static void a_closed_service_answers_the_calls_on_their_way(void) {
    ferry_client *server = connect_client(&broker), *caller = connect_client(&broker);
    ferry_error error = FERRY_ERROR_INIT;
    ferry_registration *served = NULL;
    Counter counter = {0};
    int n_replies = 0;

    CU_ASSERT_EQUAL(ferry_serve_method(server, "drain.Drain.go",
                                       &(ferry_serve_options){.slots = CALLS}, answer, &counter,
                                       &served, NULL),
                    0);
    CU_ASSERT_PTR_NOT_NULL(served);
    for (int i = 0; i < CALLS; i++)
        CU_ASSERT_EQUAL(ferry_call_async(caller, "drain.Drain.go", ferry_bytes_of("\x90", 1),
                                         count_reply, &n_replies, NULL),
                        0);
    CU_ASSERT_EQUAL(ferry_ping(caller, NULL, NULL), 0); /* after this the broker has sent them to
                                                         * the service */
    CU_ASSERT_EQUAL(counter.n, 0);

    CU_ASSERT_PTR_NULL(ferry_registration_close(served));
    CU_ASSERT_EQUAL(counter.n, CALLS);
    CU_ASSERT_TRUE(process_until(caller, &n_replies, CALLS));
    CU_ASSERT_EQUAL(ferry_call(caller, "drain.Drain.go", ferry_bytes_of("\x90", 1), NULL, &error),
                    -EHOSTUNREACH);
    CU_ASSERT_EQUAL(ferry_ping(server, NULL, NULL), 0);
    ferry_error_clear(&error);
    ferry_close(caller);
    ferry_close(server);
}

static void a_service_may_close_itself_in_its_handler(void) {
    ferry_client *server = connect_client(&broker), *caller = connect_client(&broker);
    Counter counter = {0};
    int n_replies = 0;

    CU_ASSERT_EQUAL(
        ferry_serve_method(server, "once.Once.go", NULL, answer, &counter, &counter.close_me, NULL),
        0);
    CU_ASSERT_EQUAL(ferry_call_async(caller, "once.Once.go", ferry_bytes_of("\x90", 1), count_reply,
                                     &n_replies, NULL),
                    0);
    CU_ASSERT_TRUE(process_both_until(server, caller, &n_replies, 1));
    CU_ASSERT_EQUAL(ferry_call(caller, "once.Once.go", ferry_bytes_of("\x90", 1), NULL, NULL),
                    -EHOSTUNREACH);
    CU_ASSERT_EQUAL(counter.n, 1);
    ferry_close(caller);
    ferry_close(server);
}

static void call_ready(ferry_client *caller, int *n_replies) {
    CU_ASSERT_EQUAL(ferry_call_async(caller, "ready.Ready.go", ferry_bytes_of("\x90", 1),
                                     count_reply, n_replies, NULL),
                    0);
}

static bool is_shown_ready(ferry_client *client) {
    ferry_description *description = NULL;
    bool is_ready;

    CU_ASSERT_EQUAL_FATAL(ferry_describe(client, "ready.Ready", &description, NULL), 0);
    CU_ASSERT_EQUAL_FATAL(description->n_instances, 1);
    is_ready = description->instances[0].is_ready;
    ferry_free(description);
    return is_ready;
}

static void a_service_that_is_not_ready_gets_no_calls(void) {
    ferry_client *server = connect_client(&broker), *caller = connect_client(&broker);
    ferry_registration *served = NULL;
    Counter counter = {0};
    int n_replies = 0;

    CU_ASSERT_EQUAL(ferry_serve_method(server, "ready.Ready.go",
                                       &(ferry_serve_options){.not_ready = true}, answer, &counter,
                                       &served, NULL),
                    0);
    CU_ASSERT_FALSE(is_shown_ready(caller));
    call_ready(caller, &n_replies);
    CU_ASSERT_EQUAL(ferry_ping(caller, NULL, NULL), 0); /* after this the broker has the call */
    CU_ASSERT_EQUAL(ferry_ping(server, NULL, NULL), 0);
    ferry_process(server, NULL);
    CU_ASSERT_EQUAL(counter.n, 0);

    CU_ASSERT_EQUAL(ferry_service_ready(served, true, NULL), 0);
    CU_ASSERT_TRUE(is_shown_ready(caller));
    CU_ASSERT_TRUE(process_both_until(server, caller, &n_replies, 1));
    CU_ASSERT_EQUAL(counter.n, 1);
    ferry_close(server);
    ferry_close(caller);
}

static void other_servers_get_the_calls_meanwhile(void) {
    ferry_client *server = connect_client(&broker), *other = connect_client(&broker),
                 *caller = connect_client(&broker);
    ferry_registration *served = NULL;
    Counter mine = {0}, others = {0};
    int n_replies = 0;

    CU_ASSERT_EQUAL(
        ferry_serve_method(server, "ready.Ready.go", NULL, answer, &mine, &served, NULL), 0);
    CU_ASSERT_EQUAL(ferry_serve_method(other, "ready.Ready.go", NULL, answer, &others, NULL, NULL),
                    0);
    CU_ASSERT_EQUAL(ferry_service_ready(served, false, NULL), 0);
    for (int i = 0; i < CALLS; i++)
        call_ready(caller, &n_replies);
    CU_ASSERT_TRUE(process_both_until(other, caller, &n_replies, CALLS));
    ferry_process(server, NULL);
    CU_ASSERT_EQUAL(mine.n, 0);
    CU_ASSERT_EQUAL(others.n, CALLS);
    ferry_close(server);
    ferry_close(other);
    ferry_close(caller);
}

static void a_service_stays_not_ready_over_a_reconnect(void) {
    ferry_client *server = connect_client(&broker);
    ferry_error error = FERRY_ERROR_INIT;
    ferry_registration *served = NULL, *subscribed = NULL;
    Counter counter = {0};

    CU_ASSERT_EQUAL(
        ferry_serve_method(server, "ready.Ready.go", NULL, answer, &counter, &served, NULL), 0);
    CU_ASSERT_EQUAL(ferry_service_ready(served, false, NULL), 0);
    broker_kill(&broker);
    broker_respawn(&broker);
    ferry_ping(server, NULL, NULL); /* this notices the loss */
    CU_ASSERT_EQUAL(ferry_ping(server, NULL, NULL), 0);
    CU_ASSERT_FALSE(is_shown_ready(server));

    CU_ASSERT_EQUAL(
        ferry_subscribe(server, "ready", NULL, count_message, &counter, &subscribed, NULL), 0);
    CU_ASSERT_EQUAL(ferry_service_ready(subscribed, true, &error), -EINVAL);
    CU_ASSERT_STRING_EQUAL(error.type, "ferry.Misuse");
    CU_ASSERT_EQUAL(ferry_service_ready(NULL, true, NULL), -EINVAL);
    ferry_error_clear(&error);
    ferry_close(server);
}

static void a_closed_worker_leaves_the_other_jobs_to_others(void) {
    ferry_client *first = connect_client(&broker), *second = connect_client(&broker);
    ferry_registration *working = NULL;
    Counter mine = {0}, others = {0};
    int after;

    for (int i = 0; i < JOBS; i++)
        CU_ASSERT_EQUAL(ferry_push(first, "drained", ferry_str("x"), NULL, NULL), 0);
    CU_ASSERT_EQUAL(ferry_work(first, "drained", NULL, count_job, &mine, &working, NULL), 0);
    CU_ASSERT_TRUE(process_until(first, &mine.n, 1));
    CU_ASSERT_PTR_NULL(ferry_registration_close(working));
    after = mine.n;

    CU_ASSERT_EQUAL(ferry_work(second, "drained", NULL, count_job, &others, NULL, NULL), 0);
    CU_ASSERT_TRUE(process_both_until(first, second, &others.n, JOBS - after));
    CU_ASSERT_EQUAL(mine.n, after);
    CU_ASSERT_EQUAL(others.n, JOBS - after);
    ferry_close(second);
    ferry_close(first);
}

static void a_closed_subscription_gets_no_more_messages(void) {
    ferry_client *client = connect_client(&broker);
    ferry_registration *subscribed = NULL;
    Counter closed = {0}, open = {0};

    CU_ASSERT_EQUAL(
        ferry_subscribe(client, "drain.>", NULL, count_message, &closed, &subscribed, NULL), 0);
    CU_ASSERT_EQUAL(ferry_subscribe(client, "drain.>", NULL, count_message, &open, NULL, NULL), 0);
    CU_ASSERT_EQUAL(ferry_publish(client, "drain.a", ferry_str("1"), NULL, NULL), 0);
    CU_ASSERT_TRUE(process_until(client, &open.n, 1));
    CU_ASSERT_TRUE(process_until(client, &closed.n, 1));
    CU_ASSERT_PTR_NULL(ferry_registration_close(subscribed));
    CU_ASSERT_EQUAL(ferry_publish(client, "drain.b", ferry_str("2"), NULL, NULL), 0);
    CU_ASSERT_TRUE(process_until(client, &open.n, 2));
    CU_ASSERT_EQUAL(closed.n, 1);
    ferry_close(client);
}

static void closing_without_a_connection_returns(void) {
    ferry_client *client = connect_client(&broker);
    ferry_registration *working = NULL;
    Counter counter = {0};

    CU_ASSERT_EQUAL(ferry_work(client, "lost", NULL, count_job, &counter, &working, NULL), 0);
    broker_kill(&broker);
    CU_ASSERT_PTR_NULL(ferry_registration_close(working));
    broker_respawn(&broker);
    CU_ASSERT_EQUAL(ferry_push(client, "lost", ferry_str("x"), NULL, NULL), 0);
    ferry_process(client, NULL);
    CU_ASSERT_EQUAL(ferry_ping(client, NULL, NULL), 0);
    ferry_process(client, NULL);
    CU_ASSERT_EQUAL(counter.n, 0);
    ferry_close(client);
}

static void a_failing_function_reports_the_reason(void) {
    ferry_client *client = connect_client(&broker), *handle = NULL;
    ferry_error error = FERRY_ERROR_INIT;

    CU_ASSERT_EQUAL(ferry_with(client, &(ferry_options){.instance = "a b"}, &handle, &error),
                    -EINVAL);
    CU_ASSERT_STRING_EQUAL(error.type, "ferry.Misuse");
    CU_ASSERT_EQUAL(
        ferry_call_async(client, "a b.c", ferry_bytes_of("\x90", 1), count_reply, NULL, &error),
        -EINVAL);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "a b.c"));
    CU_ASSERT_EQUAL(ferry_push_async(client, "a b", ferry_str("x"), NULL, NULL, NULL, &error),
                    -EINVAL);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "a b"));
    CU_ASSERT_PTR_NULL(ferry_name_problem("a.b"));
    CU_ASSERT_PTR_NOT_NULL(ferry_name_problem("a b"));
    CU_ASSERT_PTR_NOT_NULL(ferry_name_problem(NULL));
    ferry_error_clear(&error);
    ferry_close(client);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(a_closed_service_answers_the_calls_on_their_way),
        TEST(a_service_may_close_itself_in_its_handler),
        TEST(a_service_that_is_not_ready_gets_no_calls),
        TEST(other_servers_get_the_calls_meanwhile),
        TEST(a_service_stays_not_ready_over_a_reconnect),
        TEST(a_closed_worker_leaves_the_other_jobs_to_others),
        TEST(a_closed_subscription_gets_no_more_messages),
        TEST(closing_without_a_connection_returns),
        TEST(a_failing_function_reports_the_reason),
        TESTS_END,
    };
    int status;

    broker_spawn(&broker);
    status = run_suite("client: registrations", tests);
    broker_terminate(&broker);
    return status;
}
