/* SPDX-License-Identifier: Apache-2.0 */
#include "base/random.h"

#include <string.h>

#include "support/suite.h"

static void bytes_are_not_the_same_twice(void) {
    uint8_t a[300] = {0}, b[300] = {0}, none[300] = {0};

    random_bytes(a, sizeof(a));
    random_bytes(b, sizeof(b));
    CU_ASSERT_NOT_EQUAL(memcmp(a, b, sizeof(a)), 0);
    CU_ASSERT_NOT_EQUAL(memcmp(a + 256, none, 44), 0);
    random_bytes(a, 0);
    CU_ASSERT_NOT_EQUAL(random_u64(), random_u64());
}

static void random_numbers_cover_the_whole_range(void) {
    unsigned seen[10] = {0};

    for (int i = 0; i < 10000; i++) {
        uint64_t r = random_below(10);

        CU_ASSERT_FATAL(r < 10);
        seen[r]++;
    }
    for (int i = 0; i < 10; i++)
        CU_ASSERT(seen[i] > 700 && seen[i] < 1300);
    CU_ASSERT_EQUAL(random_below(1), 0);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(bytes_are_not_the_same_twice),
        TEST(random_numbers_cover_the_whole_range),
        TESTS_END,
    };

    return run_suite("base random numbers", tests);
}
