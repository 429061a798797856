/* SPDX-License-Identifier: Apache-2.0 */
#include <ferry/schema.h>

#include "support/broker.h"
#include "support/suite.h"
#include "y_typed.h"

static int add(ferry_request *request, int32_t a, int32_t b, void *ctx) {
    (void)ctx;
    return typed_add_return(request, (int64_t)a + b);
}

static const typed_handlers handlers = {.add = add};

static int serve(ferry_client *client, void *ctx) {
    (void)ctx;
    return typed_serve(client, &handlers, &(ferry_serve_options){.slots = 8, .instance = "the-one"},
                       NULL, NULL, NULL);
}

static TestBroker broker;
static Runner runner;
static ferry_client *client;
static ferry_description *description;

static void set_up(void) {
    ferry_error error = FERRY_ERROR_INIT;

    broker_spawn(&broker);
    runner_start(&runner, &broker, serve, NULL);
    client = connect_client(&broker);
    CU_ASSERT_EQUAL_FATAL(ferry_describe(client, "typed.Typed", &description, &error), 0);
}

static void tear_down(void) {
    description = ferry_free(description);
    client = ferry_close(client);
    runner_stop(&runner);
    broker_terminate(&broker);
}

static void a_service_tells_what_it_offers(void) {
    const ferry_method *method;
    char text[64], *idl = NULL;

    set_up();
    CU_ASSERT_STRING_EQUAL(description->name, "typed.Typed");
    CU_ASSERT_PTR_NULL(description->problem);
    CU_ASSERT_EQUAL(description->n_instances, 1);
    CU_ASSERT_STRING_EQUAL(description->instances[0].name, "the-one");
    CU_ASSERT_EQUAL(description->instances[0].slots, 8);
    CU_ASSERT_PTR_NOT_NULL_FATAL(description->service);
    CU_ASSERT_EQUAL(description->service->n_methods, ferry_service_typed.n_methods);

    method = ferry_method_find(description->service, "div");
    CU_ASSERT_PTR_NOT_NULL_FATAL(method);
    CU_ASSERT_EQUAL(method->timeout_ms, 2000);
    CU_ASSERT_EQUAL(method->n_throws, 1);
    CU_ASSERT_STRING_EQUAL(method->throws[0].type->name, "typed.DivisionByZero");
    CU_ASSERT_STRING_EQUAL(method->notes->doc, "Whole-number division.");
    CU_ASSERT_TRUE(ferry_method_find(description->service, "add")->flags & FERRY_IDEMPOTENT);
    CU_ASSERT_TRUE(ferry_method_find(description->service, "note")->flags & FERRY_ONEWAY);
    method = ferry_method_find(description->service, "talk");
    CU_ASSERT_EQUAL(method->flags & (FERRY_STREAM_IN | FERRY_STREAM_OUT),
                    FERRY_STREAM_IN | FERRY_STREAM_OUT);
    CU_ASSERT_PTR_NULL(ferry_method_find(description->service, "mul"));
    method = ferry_method_find(description->service, "count");
    CU_ASSERT_STRING_EQUAL(ferry_type_format(method->result, text, sizeof(text)),
                           "map<string, i32>");

    CU_ASSERT_EQUAL(ferry_service_print(description->service, &idl), 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(idl, "service Typed {"));
    CU_ASSERT_PTR_NOT_NULL(strstr(idl, "Whole-number division."));
    ferry_free(idl);
    tear_down();
}

static void arguments_are_checked_before_they_are_sent(void) {
    ferry_error error = FERRY_ERROR_INIT;
    const ferry_method *method;
    ferry_bytes args, shown;
    ferry_reply *reply = NULL;

    set_up();
    method = ferry_method_find(description->service, "add");
    /* Arguments by name, one of them as text. */
    CU_ASSERT_EQUAL_FATAL(ferry_value_convert(method->args,
                                              ferry_str("\x82\xa1"
                                                        "b\xa1"
                                                        "2\xa1"
                                                        "a\x01"),
                                              "args", &args, &error),
                          0);
    CU_ASSERT_EQUAL(args.len, 3);
    CU_ASSERT_EQUAL(memcmp(args.data, "\x92\x01\x02", 3), 0);
    CU_ASSERT_EQUAL(ferry_call(client, "typed.Typed.add", args, &reply, &error), 0);
    CU_ASSERT_EQUAL(reply_int(reply), 3);
    CU_ASSERT_EQUAL(ferry_value_format(method->result, reply->body, &shown, &error), 0);
    CU_ASSERT_EQUAL(memcmp(shown.data, "\x03", 1), 0);
    ferry_free(shown.block);
    ferry_free(reply);
    ferry_free(args.block);

    CU_ASSERT_EQUAL(
        ferry_value_convert(method->args, ferry_str("\x92\x01\xc3"), "args", &args, &error),
        -EINVAL);
    CU_ASSERT_STRING_EQUAL(error.type, "ferry.InvalidArgument");
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "args.b"));
    CU_ASSERT_EQUAL(ferry_value_convert(method->args, ferry_str("\x91\x01"), "args", &args, &error),
                    -EINVAL);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "args.b"));
    CU_ASSERT_EQUAL(ferry_value_example(method->args, &args), 0);
    CU_ASSERT_EQUAL(((const uint8_t *)args.data)[0], 0x82);
    ferry_free(args.block);
    ferry_error_clear(&error);
    tear_down();
}

static int say(ferry_request *request, void *ctx) {
    (void)ctx;
    return ferry_request_return(request, request->body);
}

/* An older version of the service, which lacks its last methods. */
static int serve_old(ferry_client *old, void *ctx) {
    static ferry_service table;

    table = ferry_service_typed;
    table.n_methods = 1;
    return ferry_serve(old, &table, &handlers, &(ferry_serve_options){.instance = "old"}, ctx, NULL,
                       NULL);
}

static void an_instance_is_described_by_its_own_description(void) {
    ferry_description *found = NULL;
    ferry_client *handle = NULL;
    Runner old;

    set_up();
    runner_start(&old, &broker, serve_old, NULL);
    CU_ASSERT_EQUAL(ferry_with(client, &(ferry_options){.instance = "old"}, &handle, NULL), 0);
    CU_ASSERT_EQUAL(ferry_describe(handle, "typed.Typed", &found, NULL), 0);
    CU_ASSERT_PTR_NOT_NULL_FATAL(found);
    CU_ASSERT_PTR_NOT_NULL_FATAL(found->service);
    CU_ASSERT_EQUAL(found->service->n_methods, 1);
    CU_ASSERT_EQUAL(found->n_instances, 2);
    ferry_free(found);
    ferry_close(handle);
    CU_ASSERT_EQUAL(ferry_with(client, &(ferry_options){.instance = "the-one"}, &handle, NULL), 0);
    CU_ASSERT_EQUAL(ferry_describe(handle, "typed.Typed", &found, NULL), 0);
    CU_ASSERT_EQUAL(found->service->n_methods, ferry_service_typed.n_methods);
    ferry_free(found);
    ferry_close(handle);
    runner_stop(&old);
    tear_down();
}

static void a_service_without_a_description_is_described_by_its_instances(void) {
    ferry_error error = FERRY_ERROR_INIT;
    ferry_description *plain = NULL;

    set_up();
    CU_ASSERT_EQUAL(ferry_serve_method(client, "plain.Plain.say", NULL, say, NULL, NULL, NULL), 0);
    CU_ASSERT_EQUAL_FATAL(ferry_describe(client, "plain.Plain", &plain, &error), 0);
    CU_ASSERT_PTR_NULL(plain->service);
    CU_ASSERT_PTR_NULL(plain->problem);
    CU_ASSERT_EQUAL(plain->bytes.len, 0);
    CU_ASSERT_EQUAL(plain->n_instances, 1);
    ferry_free(plain);

    CU_ASSERT_EQUAL(ferry_describe(client, "nobody.Here", &plain, &error), -ENOENT);
    CU_ASSERT_STRING_EQUAL(error.type, "ferry.NotFound");
    ferry_error_clear(&error);
    CU_ASSERT_EQUAL(ferry_describe(client, NULL, &plain, &error), -EINVAL);
    ferry_error_clear(&error);
    tear_down();
}

typedef struct Described {
    const ferry_description *kept;
    int n, code;
} Described;

static void on_described(const ferry_description *found, const ferry_error *error, void *ctx) {
    Described *described = ctx;

    CU_ASSERT_TRUE(!found != !error);
    described->n++;
    described->kept = ferry_keep(found);
    described->code = error ? error->code : 0;
}

static void a_description_comes_in_a_callback(void) {
    Described there = {0}, absent = {0}, closed = {0};
    ferry_client *handle = NULL;

    set_up();
    CU_ASSERT_EQUAL(ferry_describe_async(client, NULL, on_described, &there, NULL), -EINVAL);
    CU_ASSERT_EQUAL(ferry_describe_async(client, "typed.Typed", NULL, &there, NULL), -EINVAL);
    CU_ASSERT_EQUAL(ferry_with(client, NULL, &handle, NULL), 0);
    CU_ASSERT_EQUAL(ferry_describe_async(client, "typed.Typed", on_described, &there, NULL), 0);
    CU_ASSERT_EQUAL(ferry_describe_async(client, "nobody.Here", on_described, &absent, NULL), 0);
    CU_ASSERT_EQUAL(ferry_describe_async(handle, "typed.Typed", on_described, &closed, NULL), 0);
    CU_ASSERT_EQUAL(there.n + absent.n + closed.n, 0);
    ferry_close(handle);
    while (there.n == 0 || absent.n == 0 || closed.n == 0)
        ferry_process(client, NULL);
    CU_ASSERT_EQUAL(there.n + absent.n + closed.n, 3);
    CU_ASSERT_EQUAL(there.code, 0);
    CU_ASSERT_PTR_NOT_NULL_FATAL(there.kept);
    CU_ASSERT_PTR_NOT_NULL(ferry_method_find(there.kept->service, "div"));
    CU_ASSERT_EQUAL(there.kept->n_instances, 1);
    ferry_free(there.kept);
    CU_ASSERT_EQUAL(absent.code, -ENOENT);
    CU_ASSERT_EQUAL(closed.code, -ECANCELED);
    tear_down();
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(a_service_tells_what_it_offers),
        TEST(arguments_are_checked_before_they_are_sent),
        TEST(an_instance_is_described_by_its_own_description),
        TEST(a_service_without_a_description_is_described_by_its_instances),
        TEST(a_description_comes_in_a_callback),
        TESTS_END,
    };

    return run_suite("client: descriptions", tests);
}
