/* SPDX-License-Identifier: Apache-2.0 */

/* Operations that a program repeats a million times allocate no memory after the first few
 * times. */

#include "support/broker.h"
#include "support/oom.h"
#include "support/suite.h"
#include "y_typed.h"

enum { WARM_UP = 300, COUNTED = 100, WORDS = 20 };

static TestBroker broker;
static ferry_client *server, *caller; /* both on this thread, so that the allocations of both are
                                       * counted */

/* ---- the server ---- */

static int say(ferry_request *request, void *ctx) {
    (void)ctx;
    return ferry_request_return(request, request->body);
}

static int half(ferry_request *request, double x, void *ctx) {
    (void)ctx;
    return typed_half_return(request, x / 2);
}

static int numbers(ferry_request *request, const typed_range *range, void *ctx) {
    int32_t v[WORDS];

    (void)ctx;
    for (int32_t i = 0; i < WORDS; i++)
        v[i] = range->low + i;
    return typed_numbers_return(request, &(ferry_list_i32){WORDS, v});
}

static ferry_request *summing;

static void on_item(ferry_request *request, void *ctx) {
    int32_t number;

    while (typed_sum_receive(request, &number) > 0)
        ++*(int *)ctx;
}

static int sum(ferry_request *request, void *ctx) {
    summing = ferry_request_defer(request);
    return ferry_request_watch(summing, on_item, ctx);
}

/* ---- the operations ---- */

static int n_done;

static void on_reply(const ferry_reply *reply, const ferry_error *error, void *ctx) {
    (void)error, (void)ctx;
    n_done += reply && reply->body.len == 5;
}

static void on_half(double result, const ferry_error *error, void *ctx) {
    (void)ctx;
    n_done += !error && result == 1.5;
}

static void on_numbers(const ferry_list_i32 *result, const ferry_error *error, void *ctx) {
    (void)ctx;
    n_done += !error && result->n == WORDS && result->v[1] == 8;
}

static ferry_stream *stream;

static void call_untyped(void) {
    CU_ASSERT_EQUAL(
        ferry_call_async(caller, "test.S.say", ferry_str("\xa4text"), on_reply, NULL, NULL), 0);
}

static void call_for_a_scalar(void) {
    CU_ASSERT_EQUAL(typed_half_async(caller, 3, on_half, NULL, NULL), 0);
}

static void call_for_a_tree(void) {
    CU_ASSERT_EQUAL(
        typed_numbers_async(caller, &(typed_range){7, 8, &(int32_t){1}}, on_numbers, NULL, NULL),
        0);
}

static void send_an_item(void) {
    CU_ASSERT_EQUAL(typed_sum_send(stream, 5, NULL), 0);
}

/* Runs one operation at a time, so that the load of the machine has no effect. The first operations
 * grow tables and pools to their final size. */
static void check_allocates_nothing(void (*once)(void)) {
    n_done = 0;
    for (int i = 1; i <= WARM_UP + COUNTED; i++) {
        if (i == WARM_UP)
            oom_plan(1);
        once();
        if (!process_both_until(caller, server, &n_done, i))
            break;
    }
    oom_stop();
    CU_ASSERT_EQUAL(n_done, WARM_UP + COUNTED);
    CU_ASSERT_FALSE(oom_happened());
}

static void calls_with_a_callback_allocate_nothing(void) {
    check_allocates_nothing(call_untyped);
}

static void typed_calls_allocate_nothing(void) {
    check_allocates_nothing(call_for_a_scalar);
    check_allocates_nothing(call_for_a_tree);
}

static void items_of_a_stream_allocate_nothing(void) {
    CU_ASSERT_EQUAL(typed_sum(caller, &stream, NULL), 0);
    check_allocates_nothing(send_an_item);
    CU_ASSERT_PTR_NOT_NULL_FATAL(summing);
    CU_ASSERT_EQUAL(typed_sum_return(summing, 0), 0);
    stream = ferry_stream_close(stream);
}

static void set_up(void) {
    static const typed_handlers handlers = {.half = half, .numbers = numbers, .sum = sum};

    broker_spawn(&broker);
    server = connect_client(&broker);
    caller = connect_client(&broker);
    if (ferry_serve_method(server, "test.S.say", NULL, say, NULL, NULL, NULL) < 0 ||
        typed_serve(server, &handlers, NULL, &n_done, NULL, NULL) < 0)
        abort();
    ferry_ping(server, NULL, NULL);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(calls_with_a_callback_allocate_nothing),
        TEST(typed_calls_allocate_nothing),
        TEST(items_of_a_stream_allocate_nothing),
        TESTS_END,
    };
    int status;

    set_up();
    status = run_suite("client: allocations", tests);
    ferry_close(caller);
    ferry_close(server);
    broker_terminate(&broker);
    return status;
}
