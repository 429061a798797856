/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdlib.h>

#include "clients/cli/terminal/histogram.h"
#include "support/suite.h"

static Histogram *new_histogram(void) {
    return calloc(1, sizeof(Histogram));
}

static void an_empty_histogram_has_no_times(void) {
    Histogram *h = new_histogram();

    CU_ASSERT_EQUAL(histogram_at(h, 0.5), 0);
    CU_ASSERT_EQUAL(histogram_mean(h), 0);
    free(h);
}

static void small_values_are_exact(void) {
    Histogram *h = new_histogram();

    for (uint64_t i = 1; i <= 60; i++)
        histogram_add(h, i);
    CU_ASSERT_EQUAL(histogram_at(h, 0.5), 30);
    CU_ASSERT_EQUAL(histogram_at(h, 1), 60);
    CU_ASSERT_EQUAL(histogram_at(h, 0), 1);
    free(h);
}

static void large_values_are_within_two_percent(void) {
    for (double value = 100; value < 1e18; value *= 1.37) {
        Histogram *h = new_histogram();
        uint64_t v = (uint64_t)value;

        histogram_add(h, v);
        histogram_add(h, UINT64_MAX / 2);
        CU_ASSERT_TRUE(fabs((double)histogram_at(h, 0.5) - (double)v) <= 0.016 * (double)v);
        free(h);
    }
}

static void the_ends_of_the_range_have_a_bucket(void) {
    Histogram *h = new_histogram();

    histogram_add(h, 0);
    histogram_add(h, UINT64_MAX);
    CU_ASSERT_EQUAL(histogram_at(h, 0.5), 0);
    CU_ASSERT_EQUAL(histogram_at(h, 1), UINT64_MAX);
    CU_ASSERT_EQUAL(h->min, 0);
    CU_ASSERT_EQUAL(h->max, UINT64_MAX);
    free(h);
}

static void no_share_is_above_the_largest(void) {
    Histogram *h = new_histogram();

    for (int i = 0; i < 1000; i++)
        histogram_add(h, 1000001);
    CU_ASSERT_EQUAL(histogram_at(h, 0.999), 1000001);
    free(h);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(an_empty_histogram_has_no_times),     TEST(small_values_are_exact),
        TEST(large_values_are_within_two_percent), TEST(the_ends_of_the_range_have_a_bucket),
        TEST(no_share_is_above_the_largest),       TESTS_END,
    };

    return run_suite("cli histogram", tests);
}
