/* SPDX-License-Identifier: Apache-2.0 */
#include "support/suite.h"
#include "typed-scene.h"

static void results_of_every_kind_come_back(void) {
    ferry_error error = FERRY_ERROR_INIT;
    ferry_uuid id = {{1, 2, 3}}, got;
    ferry_list_i32 *list = NULL;
    typed_map_string_i32 *counts = NULL;
    typed_shape *round = NULL;
    ferry_bytes *bytes = NULL;
    const char *const words[] = {"a", "b", "a"};
    typed_mood now = 0;
    char *text = NULL;
    int64_t number = 0;
    double d = 0;
    bool b = false;

    set_up();
    CU_ASSERT_EQUAL(typed_add(client, INT32_MAX, 1, &number, &error), 0);
    CU_ASSERT_EQUAL(number, 2147483648);
    CU_ASSERT_EQUAL(typed_numbers(client, &(typed_range){.low = 1, .high = 3}, &list, &error), 0);
    CU_ASSERT_EQUAL(list->n, 3);
    CU_ASSERT_EQUAL(list->v[2], 3);
    ferry_free(list);
    CU_ASSERT_EQUAL(typed_greet(client, "Wörld", NULL, &text, &error), 0);
    CU_ASSERT_STRING_EQUAL(text, "Hello, Wörld!");
    ferry_free(text);
    CU_ASSERT_EQUAL(typed_greet(client, "Lovelace", "Lady", &text, &error), 0);
    CU_ASSERT_STRING_EQUAL(text, "Hello, Lady Lovelace!");
    ferry_free(text);
    CU_ASSERT_EQUAL(typed_reverse(client, ferry_bytes_of("ab\0c", 4), &bytes, &error), 0);
    CU_ASSERT_EQUAL(memcmp(bytes->data, "c\0ba", 4), 0);
    ferry_free(bytes);
    CU_ASSERT_EQUAL(typed_same(client, id, &got, &error), 0);
    CU_ASSERT_EQUAL(memcmp(&id, &got, sizeof(id)), 0);
    CU_ASSERT_EQUAL(typed_turn(client, TYPED_MOOD_CALM, &now, &error), 0);
    CU_ASSERT_STRING_EQUAL(typed_mood_name(now), "CROSS");
    CU_ASSERT_EQUAL(typed_echo(client, &(typed_shape){.which = TYPED_SHAPE_RADIUS, .radius = 2.5},
                               &round, &error),
                    0);
    CU_ASSERT_EQUAL(round->which, TYPED_SHAPE_RADIUS);
    CU_ASSERT_EQUAL(round->radius, 2.5);
    ferry_free(round);
    CU_ASSERT_EQUAL(typed_count(client, &(ferry_list_string){3, words}, &counts, &error), 0);
    CU_ASSERT_EQUAL(*typed_map_string_i32_find(counts, "a"), 2);
    CU_ASSERT_PTR_NULL(typed_map_string_i32_find(counts, "c"));
    ferry_free(counts);
    CU_ASSERT_EQUAL(typed_half(client, 3, &d, &error), 0);
    CU_ASSERT_EQUAL(d, 1.5);
    CU_ASSERT_EQUAL(typed_flip(client, false, &b, &error), 0);
    CU_ASSERT_TRUE(b);
    CU_ASSERT_EQUAL(typed_nothing(client, &error), 0);
    CU_ASSERT_EQUAL(typed_add(client, 1, 2, NULL, &error), 0); /* the caller does not want the
                                                                * result */
    CU_ASSERT_PTR_NULL(error.type);
    tear_down();
}

static void a_declared_exception_arrives_with_its_fields(void) {
    ferry_error error = FERRY_ERROR_INIT;
    const typed_division_by_zero *e;
    int64_t number = 17;

    set_up();
    CU_ASSERT_EQUAL(typed_div(client, 7, 0, &number, &error), -EREMOTEIO);
    CU_ASSERT_EQUAL(number, 17);
    CU_ASSERT_STRING_EQUAL(error.type, "typed.DivisionByZero");
    CU_ASSERT_STRING_EQUAL(error.message, "b is zero");
    CU_ASSERT_PTR_NOT_NULL(strstr(ferry_error_origin(&error), "typed.Typed.div on "));
    e = typed_division_by_zero_in(&error);
    CU_ASSERT_PTR_NOT_NULL_FATAL(e);
    CU_ASSERT_EQUAL(e->dividend, 7);
    CU_ASSERT_PTR_EQUAL(typed_division_by_zero_in(&error), e);
    CU_ASSERT_PTR_NULL(typed_huge_in(&error));
    ferry_error_clear(&error);
    CU_ASSERT_PTR_NULL(typed_division_by_zero_in(&error));
    CU_ASSERT_PTR_NULL(typed_division_by_zero_in(NULL));
    tear_down();
}

static void errors_name_the_place(void) {
    ferry_error error = FERRY_ERROR_INIT;
    ferry_reply *reply = NULL;
    char *text = NULL;
    int32_t n;

    set_up();
    CU_ASSERT_EQUAL(typed_greet(client, NULL, NULL, &text, &error), -EINVAL);
    CU_ASSERT_STRING_EQUAL(error.message, "args.name: the string is NULL");
    CU_ASSERT_EQUAL(typed_numbers(client, NULL, NULL, &error), -EINVAL);
    CU_ASSERT_STRING_EQUAL(error.message, "args.range: it is NULL");
    CU_ASSERT_EQUAL(ferry_callf(client, "typed.Typed.add", &reply, &error, "is", 1, "two"),
                    -EINVAL);
    CU_ASSERT_STRING_EQUAL(error.message, "args.b: expected i32, got str");
    CU_ASSERT_EQUAL(ferry_callf(client, "typed.Typed.add", &reply, &error, "i", 1), -EINVAL);
    CU_ASSERT_STRING_EQUAL(error.message, "args.b: it is missing");
    CU_ASSERT_EQUAL(ferry_callf(client, "typed.Typed.numbers", &reply, &error, "{sisl}", "low", 1,
                                "high", (int64_t)1 << 40),
                    -EINVAL);
    CU_ASSERT_STRING_EQUAL(error.message, "args.range.high: expected i32, got 1099511627776");
    ferry_error_clear(&error);
    CU_ASSERT_EQUAL(typed_forgets(client, &n, &error), -EIO);
    CU_ASSERT_STRING_EQUAL(error.message, "the handler returned without an answer");
    CU_ASSERT_EQUAL(typed_unserved(client, &n, &error), -ENOSYS);
    CU_ASSERT_STRING_EQUAL(error.type, "ferry.NoSuchMethod");
    CU_ASSERT_EQUAL(typed_bad_answer(client, &text, &error), -EIO);
    CU_ASSERT_STRING_EQUAL(error.message,
                           "the server cannot send its answer: result: the string is not UTF-8");
    CU_ASSERT_EQUAL(typed_explode(client, &error), -EIO);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "an exception has"));
    ferry_error_clear(&error);
    tear_down();
}

static void a_oneway_method_waits_for_nothing(void) {
    int32_t n = 0;

    set_up();
    CU_ASSERT_EQUAL(typed_note(client, "hello", NULL), 0);
    for (int i = 0; i < 1000 && n == 0; i++)
        CU_ASSERT_EQUAL(typed_notes(client, &n, NULL), 0);
    CU_ASSERT_EQUAL(n, 1);
    tear_down();
    CU_ASSERT_STRING_EQUAL(server.note, "hello");
}

static int32_t count_notes(int32_t wanted) {
    int32_t n = 0;

    for (int i = 0; i < 10000 && n < wanted; i++)
        if (typed_notes(client, &n, NULL) < 0)
            break;
    return n;
}

static void oneway_calls_outlive_the_client_that_made_them(void) {
    ferry_client *other, *handle = NULL;
    ferry_error error = FERRY_ERROR_INIT;

    set_up();
    other = connect_client(&broker);
    for (int i = 0; i < 10; i++)
        CU_ASSERT_EQUAL(typed_note(other, "flushed", NULL), 0);
    CU_ASSERT_EQUAL(ferry_flush(other, &error), 0);
    ferry_close(other);
    CU_ASSERT_EQUAL(count_notes(10), 10);

    other = connect_client(&broker);
    for (int i = 0; i < 10; i++)
        CU_ASSERT_EQUAL(typed_note(other, "closed", NULL), 0);
    ferry_close(other);
    CU_ASSERT_EQUAL(count_notes(20), 20);

    /* Before the connection is up, and through a separate handle. */
    CU_ASSERT_EQUAL(ferry_open(broker.url, NULL, &other, NULL), 0);
    CU_ASSERT_EQUAL(ferry_with(other, NULL, &handle, NULL), 0);
    for (int i = 0; i < 10; i++)
        CU_ASSERT_EQUAL(typed_note(handle, "early", NULL), 0);
    ferry_close(handle);
    ferry_close(other);
    CU_ASSERT_EQUAL(count_notes(30), 30);
    tear_down();
}

static void flush_reports_a_oneway_call_that_nobody_takes(void) {
    ferry_error error = FERRY_ERROR_INIT;
    ferry_client *other;

    broker_spawn(&broker);
    other = connect_client(&broker);
    CU_ASSERT_EQUAL(typed_note(other, "nobody", NULL), 0);
    CU_ASSERT_EQUAL(ferry_flush(other, &error), -EHOSTUNREACH);
    CU_ASSERT_STRING_EQUAL(error.type, "ferry.NoSuchService");
    ferry_error_clear(&error);
    CU_ASSERT_EQUAL(ferry_flush(other, NULL), 0);
    ferry_close(other);
    broker_terminate(&broker);
}

typedef struct Answers {
    int n;
    int64_t sum;
    int code;
    const ferry_list_i32 *kept;
} Answers;

static void on_number(int64_t result, const ferry_error *error, void *ctx) {
    Answers *answers = ctx;

    answers->n++;
    answers->sum += result;
    answers->code = error ? error->code : 0;
}

static void on_list(const ferry_list_i32 *result, const ferry_error *error, void *ctx) {
    Answers *answers = ctx;

    CU_ASSERT_PTR_NULL(error);
    answers->kept = ferry_keep(result);
    answers->n++;
}

static void on_nothing(const ferry_error *error, void *ctx) {
    CU_ASSERT_PTR_NULL(error);
    ((Answers *)ctx)->n++;
}

static void callbacks_get_typed_results(void) {
    Answers answers = {0};

    set_up();
    for (int i = 0; i < 100; i++)
        CU_ASSERT_EQUAL(typed_add_async(client, i, 1, on_number, &answers, NULL), 0);
    CU_ASSERT_EQUAL(
        typed_numbers_async(client, &(typed_range){1, 5, NULL}, on_list, &answers, NULL), 0);
    CU_ASSERT_EQUAL(typed_nothing_async(client, on_nothing, &answers, NULL), 0);
    CU_ASSERT_TRUE(process_until(client, &answers.n, 102));
    CU_ASSERT_EQUAL(answers.sum, 4950 + 100);
    CU_ASSERT_EQUAL(answers.kept->n, 5);
    ferry_free(answers.kept);
    answers = (Answers){0};
    CU_ASSERT_EQUAL(typed_div_async(client, 1, 0, on_number, &answers, NULL), 0);
    CU_ASSERT_TRUE(process_until(client, &answers.n, 1));
    CU_ASSERT_EQUAL(answers.code, -EREMOTEIO);
    CU_ASSERT_EQUAL(typed_numbers_async(client, NULL, on_list, &answers, NULL), -EINVAL);
    tear_down();
}

static void an_answer_may_come_later(void) {
    int64_t number = 0;

    set_up();
    CU_ASSERT_EQUAL(typed_later(client, 42, &number, NULL), 0);
    CU_ASSERT_EQUAL(number, 42);
    tear_down();
}

static int bad_server(ferry_request *request, void *ctx) {
    (void)ctx;
    return ferry_request_return(request, ferry_bytes_of("\xa3"
                                                        "two",
                                                        4));
}

static int serve_badly(ferry_client *with, void *ctx) {
    return ferry_serve_method(with, "typed.Typed.add", NULL, bad_server, ctx, NULL, NULL);
}

static void a_server_that_breaks_its_interface_is_named(void) {
    ferry_error error = FERRY_ERROR_INIT;
    Answers answers = {0};
    int64_t number = 5;

    broker_spawn(&broker);
    runner_start(&runner, &broker, serve_badly, NULL);
    client = connect_client(&broker);
    CU_ASSERT_EQUAL(typed_add(client, 1, 1, &number, &error), -EPROTO);
    CU_ASSERT_STRING_EQUAL(
        error.message,
        "the server's answer does not match its interface: result: expected i64, got str");
    CU_ASSERT_EQUAL(number, 5);
    CU_ASSERT_EQUAL(typed_add_async(client, 1, 1, on_number, &answers, NULL), 0);
    CU_ASSERT_TRUE(process_until(client, &answers.n, 1));
    CU_ASSERT_EQUAL(answers.code, -EPROTO);
    ferry_error_clear(&error);
    tear_down();
}

static void tables_of_another_version_are_refused(void) {
    ferry_error error = FERRY_ERROR_INIT;
    ferry_service other = ferry_service_typed;

    set_up();
    other.schema_version++;
    CU_ASSERT_EQUAL(ferry_serve(client, &other, &server_handlers, NULL, NULL, NULL, &error),
                    -EOPNOTSUPP);
    ferry_error_clear(&error);
    tear_down();
}

static void typed_values_fill_bodies_of_topics(void) {
    ferry_error error = FERRY_ERROR_INIT;
    typed_range *range = NULL;
    ferry_bytes body;

    CU_ASSERT_EQUAL(typed_range_pack(&(typed_range){1, 2, NULL}, &body, &error), 0);
    CU_ASSERT_EQUAL(typed_range_unpack(body, &range, &error), 0);
    CU_ASSERT_EQUAL(range->high, 2);
    CU_ASSERT_EQUAL(*range->step, 1);
    ferry_free(range);
    ferry_free(body.block);
    CU_ASSERT_EQUAL(typed_range_unpack(ferry_str("x"), &range, &error), -EINVAL);
    CU_ASSERT_STRING_EQUAL(error.message, "typed.Range: expected typed.Range, got int");
    ferry_error_clear(&error);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(results_of_every_kind_come_back),
        TEST(a_declared_exception_arrives_with_its_fields),
        TEST(errors_name_the_place),
        TEST(a_oneway_method_waits_for_nothing),
        TEST(oneway_calls_outlive_the_client_that_made_them),
        TEST(flush_reports_a_oneway_call_that_nobody_takes),
        TEST(callbacks_get_typed_results),
        TEST(an_answer_may_come_later),
        TEST(a_server_that_breaks_its_interface_is_named),
        TEST(tables_of_another_version_are_refused),
        TEST(typed_values_fill_bodies_of_topics),
        TESTS_END,
    };

    return run_suite("client: typed calls", tests);
}
