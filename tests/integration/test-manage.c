/* SPDX-License-Identifier: Apache-2.0 */

/* ferry.Broker, called through the functions that ferry-idl makes from its interface file. */

#include "ferry-broker.h"
#include "support/broker.h"
#include "support/suite.h"

static TestBroker broker;
static ferry_client *client;
static ferry_error error;

static int say(ferry_request *request, void *ctx) {
    (void)ctx;
    return ferry_request_return(request, request->body);
}

static void set_up(void) {
    broker_spawn(&broker);
    client = connect_client(&broker);
    CU_ASSERT_EQUAL_FATAL(
        ferry_serve_method(client, "demo.Echo.say", NULL, say, NULL, NULL, &error), 0);
    CU_ASSERT_EQUAL_FATAL(ferry_push(client, "mail", ferry_str("hello"), NULL, &error), 0);
    CU_ASSERT_EQUAL_FATAL(ferry_publish(client, "news", ferry_str("none"),
                                        &(ferry_publish_options){.retain = true}, &error),
                          0);
}

static void tear_down(void) {
    client = ferry_close(client);
    broker_terminate(&broker);
    ferry_error_clear(&error);
}

static void lists_come_as_structs(void) {
    ferry_broker_list_service_status *services = NULL;
    ferry_broker_list_session_status *sessions = NULL;
    ferry_broker_list_topic_status *topics = NULL;
    ferry_broker_list_queue_status *queues = NULL;
    ferry_broker_counters *counters = NULL;

    set_up();
    CU_ASSERT_EQUAL_FATAL(ferry_broker_services(client, &services, &error), 0);
    CU_ASSERT_EQUAL_FATAL(services->n, 1);
    CU_ASSERT_STRING_EQUAL(services->v[0].name, "demo.Echo");
    CU_ASSERT_FALSE(services->v[0].described);
    CU_ASSERT_EQUAL_FATAL(ferry_broker_sessions(client, &sessions, &error), 0);
    CU_ASSERT_EQUAL_FATAL(sessions->n, 1);
    CU_ASSERT_EQUAL(sessions->v[0].serves, 1);
    CU_ASSERT_EQUAL_FATAL(ferry_broker_topics(client, &topics, &error), 0);
    CU_ASSERT_EQUAL_FATAL(topics->n, 1);
    CU_ASSERT_STRING_EQUAL(topics->v[0].name, "news");
    CU_ASSERT_TRUE(*topics->v[0].retained);
    CU_ASSERT_PTR_NULL(topics->v[0].pattern);
    CU_ASSERT_EQUAL_FATAL(ferry_broker_queues(client, &queues, &error), 0);
    CU_ASSERT_EQUAL_FATAL(queues->n, 1);
    CU_ASSERT_EQUAL(queues->v[0].ready, 1);
    CU_ASSERT_PTR_NULL(queues->v[0].max_jobs);
    CU_ASSERT_EQUAL_FATAL(ferry_broker_stats(client, &counters, &error), 0);
    CU_ASSERT_EQUAL(counters->pushed, 1);
    CU_ASSERT_EQUAL(counters->sessions, 1);
    ferry_free(services);
    ferry_free(sessions);
    ferry_free(topics);
    ferry_free(queues);
    ferry_free(counters);
    tear_down();
}

static void one_service_and_one_queue(void) {
    ferry_broker_service_description *service = NULL;
    ferry_broker_list_job_status *jobs = NULL;
    ferry_broker_queue_status *queue = NULL;
    int64_t n = 0;

    set_up();
    CU_ASSERT_EQUAL_FATAL(ferry_broker_describe(client, "demo.Echo", NULL, &service, &error), 0);
    CU_ASSERT_EQUAL(service->instances.n, 1);
    CU_ASSERT_PTR_NULL(service->description);
    CU_ASSERT_EQUAL_FATAL(ferry_broker_queue(client, "mail", &queue, &error), 0);
    CU_ASSERT_EQUAL(*queue->max_jobs, 1000000);
    CU_ASSERT_STRING_EQUAL(queue->durability, "memory");
    CU_ASSERT_EQUAL_FATAL(ferry_broker_peek(client, "mail", 10, &jobs, &error), 0);
    CU_ASSERT_EQUAL_FATAL(jobs->n, 1);
    CU_ASSERT_EQUAL(jobs->v[0].body.len, 5);
    CU_ASSERT_EQUAL(ferry_broker_pause(client, "mail", &error), 0);
    CU_ASSERT_EQUAL(ferry_broker_resume(client, "mail", &error), 0);
    CU_ASSERT_EQUAL(ferry_broker_move(client, "mail", "post", 0, &n, &error), 0);
    CU_ASSERT_EQUAL(n, 1);
    CU_ASSERT_EQUAL(ferry_broker_purge(client, "post", &n, &error), 0);
    CU_ASSERT_EQUAL(n, 1);
    CU_ASSERT_EQUAL(ferry_broker_peek(client, "mail", -1, &jobs, &error), -EINVAL);
    CU_ASSERT_STRING_EQUAL(error.message, "args.limit: cannot be negative");
    ferry_free(service);
    ferry_free(queue);
    ferry_free(jobs);
    tear_down();
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(lists_come_as_structs),
        TEST(one_service_and_one_queue),
        TESTS_END,
    };

    return run_suite("client: ferry.Broker", tests);
}
