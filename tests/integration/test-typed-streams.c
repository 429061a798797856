/* SPDX-License-Identifier: Apache-2.0 */
#include "support/suite.h"
#include "typed-scene.h"

static void streams_carry_values_both_ways(void) {
    static const char *const said[] = {"one", "two"};
    ferry_error error = FERRY_ERROR_INIT;
    ferry_stream *stream = NULL;
    typed_range *range;
    int64_t total = 0;
    int32_t prime, n = 0, last = 0;
    char *word;

    set_up();
    CU_ASSERT_EQUAL(typed_primes(client, 1000, &stream, &error), 0);
    for (; typed_primes_next(stream, &prime, &error) > 0; n++)
        last = prime;
    CU_ASSERT_EQUAL(n, 168);
    CU_ASSERT_EQUAL(last, 997);
    stream = ferry_stream_close(stream);

    CU_ASSERT_EQUAL(typed_ranges(client, 3, &stream, &error), 0);
    for (n = 0; typed_ranges_next(stream, &range, &error) > 0; n++) {
        CU_ASSERT_EQUAL(range->high, n + 1);
        ferry_free(range);
    }
    CU_ASSERT_EQUAL(n, 3);
    stream = ferry_stream_close(stream);

    CU_ASSERT_EQUAL(typed_sum(client, &stream, &error), 0);
    for (n = 1; n <= 1000; n++)
        CU_ASSERT_EQUAL(typed_sum_send(stream, n, &error), 0);
    CU_ASSERT_EQUAL(typed_sum_end(stream, &total, &error), 0);
    CU_ASSERT_EQUAL(total, 500500);
    stream = ferry_stream_close(stream);

    CU_ASSERT_EQUAL(typed_talk(client, &stream, &error), 0);
    for (int i = 0; i < 2; i++) {
        char wanted[16];

        snprintf(wanted, sizeof(wanted), "%s?", said[i]);
        CU_ASSERT_EQUAL(typed_talk_send(stream, said[i], &error), 0);
        CU_ASSERT_EQUAL_FATAL(typed_talk_next(stream, &word, &error), 1);
        CU_ASSERT_STRING_EQUAL(word, wanted);
        ferry_free(word);
    }
    CU_ASSERT_EQUAL(typed_talk_end(stream, &error), 0);
    CU_ASSERT_EQUAL(typed_talk_next(stream, &word, &error), 0);
    stream = ferry_stream_close(stream);
    CU_ASSERT_PTR_NULL(error.type);
    tear_down();
}

static void a_closed_stream_frees_its_server(void) {
    ferry_error error = FERRY_ERROR_INIT;
    ferry_stream *stream = NULL;
    int32_t prime = 0;
    int64_t result = 0;

    set_up();
    CU_ASSERT_EQUAL(typed_primes(client, INT32_MAX, &stream, &error), 0);
    CU_ASSERT_EQUAL(typed_primes_next(stream, &prime, &error), 1);
    CU_ASSERT_EQUAL(prime, 2);
    ferry_stream_close(stream);
    /* The handler is in the middle of the stream: it gets the error when it yields. */
    CU_ASSERT_EQUAL(typed_add(client, 1, 2, &result, &error), 0);
    CU_ASSERT_EQUAL(result, 3);
    CU_ASSERT_PTR_NULL(error.type);
    tear_down();
}

static void a_lost_broker_ends_streams_in_both_directions(void) {
    ferry_error error = FERRY_ERROR_INIT;
    ferry_stream *stream = NULL;
    char *word = NULL;
    int r;

    set_up();
    CU_ASSERT_EQUAL(typed_talk(client, &stream, &error), 0);
    CU_ASSERT_EQUAL(typed_talk_send(stream, "one", &error), 0);
    CU_ASSERT_EQUAL_FATAL(typed_talk_next(stream, &word, &error), 1);
    ferry_free(word);
    broker_kill(&broker);
    r = typed_talk_next(stream, &word, &error);
    CU_ASSERT(r < 0);
    CU_ASSERT_TRUE(error.outcome_unknown);
    ferry_error_clear(&error);
    CU_ASSERT_EQUAL(typed_talk_send(stream, "two", &error), r);
    ferry_error_clear(&error);
    CU_ASSERT_EQUAL(typed_talk_end(stream, NULL), r);
    ferry_stream_close(stream);

    /* Both ends can be used again. */
    broker_respawn(&broker);
    for (int tries = 0; tries < 1200 && (r = typed_add(client, 1, 2, &(int64_t){0}, NULL)) < 0;
         tries++)
        usleep(50000);
    CU_ASSERT_EQUAL(r, 0);
    CU_ASSERT_EQUAL(typed_talk(client, &stream, &error), 0);
    CU_ASSERT_EQUAL(typed_talk_send(stream, "one", &error), 0);
    CU_ASSERT_EQUAL(typed_talk_next(stream, &word, &error), 1);
    ferry_free(word);
    ferry_stream_close(stream);
    tear_down();
}

static void refused_items_leave_the_stream_unchanged(void) {
    ferry_error error = FERRY_ERROR_INIT;
    ferry_stream *stream = NULL;
    char *word = NULL;

    set_up();
    CU_ASSERT_EQUAL(typed_talk_send(NULL, "x", NULL), -EINVAL);
    CU_ASSERT_EQUAL(typed_talk(client, &stream, &error), 0);
    CU_ASSERT_EQUAL(typed_talk_send(stream, "\xff", &error), -EINVAL);
    CU_ASSERT_STRING_EQUAL(error.message, "item: the string is not UTF-8");
    ferry_error_clear(&error);
    CU_ASSERT_EQUAL(typed_talk_send(stream, "one", &error), 0);
    CU_ASSERT_EQUAL(typed_talk_next(stream, &word, &error), 1);
    ferry_free(word);
    ferry_stream_close(stream);
    tear_down();
}

static void a_wrong_item_fails_the_stream(void) {
    ferry_error error = FERRY_ERROR_INIT;
    ferry_stream *stream = NULL;
    ferry_bytes body;

    set_up();
    CU_ASSERT_EQUAL(ferry_stream_open(client, "typed.Typed.sum", ferry_bytes_of("\x90", 1),
                                      FERRY_SEND, &stream, &error),
                    0);
    CU_ASSERT_EQUAL(ferry_stream_send(stream, ferry_bytes_of("\xa1x", 2), &error), 0);
    CU_ASSERT_EQUAL(ferry_stream_result(stream, &body, &error), -EINVAL);
    CU_ASSERT_STRING_EQUAL(error.message, "item: expected i32, got str");
    ferry_error_clear(&error);
    ferry_stream_close(stream);
    tear_down();
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(streams_carry_values_both_ways),
        TEST(a_closed_stream_frees_its_server),
        TEST(a_lost_broker_ends_streams_in_both_directions),
        TEST(refused_items_leave_the_stream_unchanged),
        TEST(a_wrong_item_fails_the_stream),
        TESTS_END,
    };

    return run_suite("client: typed streams", tests);
}
