/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "clients/web/watch/metrics.h"
#include "clients/web/watch/sampler.h"
#include "support/suite.h"

static char *text_of(const MetricsInput *input, Buffer *to) {
    metrics_write(input, to);
    buffer_append(to, "", 1);
    CU_ASSERT_FALSE_FATAL(to->failed);
    return (char *)to->data;
}

static void a_broker_that_is_away_is_down(void) {
    CLEANUP(buffer_deinit) Buffer to = {0};
    const char *text = text_of(&(MetricsInput){0}, &to);

    CU_ASSERT_PTR_NOT_NULL(strstr(text, "\nferry_up 0\n"));
    CU_ASSERT_PTR_NULL(strstr(text, "ferry_calls_total"));
    CU_ASSERT_STRING_EQUAL(text + strlen(text) - 6, "# EOF\n");
}

static void labels_are_escaped_and_integers_exact(void) {
    CLEANUP(buffer_deinit) Buffer to = {0};
    json_t *queues = json_pack("[{s:s, s:I, s:b}]", "name", "a\"b\\c\nd", "pushed",
                               (json_int_t)9007199254740993, "paused", 1);
    const char *text = text_of(&(MetricsInput){.queues = queues}, &to);

    CU_ASSERT_PTR_NOT_NULL(strstr(
        text, "ferry_queue_pushed_jobs_total{queue=\"a\\\"b\\\\c\\nd\"} 9007199254740993\n"));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "ferry_queue_paused{queue=\"a\\\"b\\\\c\\nd\"} 1\n"));
    json_decref(queues);
}

static size_t count(const char *text, const char *what) {
    size_t n = 0;

    for (; (text = strstr(text, what)); text++)
        n++;
    return n;
}

static void series_beyond_the_limit_are_left_out(void) {
    CLEANUP(buffer_deinit) Buffer to = {0};
    json_t *topics = json_array();
    const char *text;
    char name[24];

    for (int i = 0; i < METRICS_ROWS_MAX + 7; i++) {
        snprintf(name, sizeof(name), "t%d", i);
        json_array_append_new(topics, json_pack("{s:s, s:i}", "name", name, "published", i));
    }
    text = text_of(&(MetricsInput){.topics = topics}, &to);
    CU_ASSERT_EQUAL(count(text, "ferry_topic_published_messages_total{"), METRICS_ROWS_MAX);
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "ferry_metrics_left_out 7\n"));
    json_decref(topics);
}

/* A list of counts in which these buckets have one call each. */
static json_t *latencies(size_t a, size_t b) {
    json_t *list = json_array();

    for (size_t i = 0; i <= b; i++)
        json_array_append_new(list, json_integer(i == a || i == b));
    return list;
}

static void a_histogram_counts_up_to_each_bound(void) {
    CLEANUP(buffer_deinit) Buffer to = {0};
    /* 60 us is in the bucket of 60 to 63 us, below the bound of 64; 64 us is not. */
    json_t *methods = json_pack("{s:[{s:s, s:i, s:i, s:o}]}", "calc.Calc", "method", "add", "calls",
                                2, "total_us", 124, "latencies", latencies(31, 32));
    const char *text = text_of(&(MetricsInput){.methods = methods}, &to);

#define SERIES "ferry_method_duration_seconds_bucket{service=\"calc.Calc\",method=\"add\",le="
    CU_ASSERT_PTR_NOT_NULL(strstr(text, SERIES "\"6.4e-05\"} 1\n"));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, SERIES "\"0.000256\"} 2\n"));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, SERIES "\"+Inf\"} 2\n"));
    CU_ASSERT_PTR_NOT_NULL(strstr(
        text,
        "ferry_method_duration_seconds_sum{service=\"calc.Calc\",method=\"add\"} 0.000124\n"));
    json_decref(methods);
}

static json_t *stats(json_int_t calls, json_int_t epoch, size_t a, size_t b) {
    return json_pack("{s:I, s:I, s:o}", "calls", calls, "epoch", epoch, "latencies",
                     latencies(a, b));
}

static void rates_are_the_differences_of_two_samples(void) {
    json_t *first = stats(100, 1, 0, 40), *second = stats(160, 1, 0, 40),
           *third = stats(5, 2, 0, 1);
    Sample before = sample_of(first, 1000), now = sample_of(second, 3000);
    SampleRow row = sample_difference(&before, &now, second);

    CU_ASSERT_TRUE(row.is_known);
    CU_ASSERT_DOUBLE_EQUAL(row.values[RATE_CALLS], 30, 0.001);
    CU_ASSERT_TRUE(row.values[ROW_P50_US] < 0); /* no call ended in between */
    now.latencies[40] += 2;
    row = sample_difference(&before, &now, second);
    CU_ASSERT_DOUBLE_EQUAL(row.values[ROW_P99_US], 128, 0.001);
    /* Another broker counts from zero. */
    now = sample_of(third, 4000);
    CU_ASSERT_FALSE(sample_difference(&before, &now, third).is_known);
    CU_ASSERT_FALSE(sample_difference(&(Sample){0}, &now, third).is_known);
    json_decref(first);
    json_decref(second);
    json_decref(third);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(a_broker_that_is_away_is_down),
        TEST(labels_are_escaped_and_integers_exact),
        TEST(series_beyond_the_limit_are_left_out),
        TEST(a_histogram_counts_up_to_each_bound),
        TEST(rates_are_the_differences_of_two_samples),
        TESTS_END,
    };

    return run_suite("web: metrics", tests);
}
