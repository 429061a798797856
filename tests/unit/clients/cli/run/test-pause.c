/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/cli/run/pause.h"

#include "support/suite.h"

static void a_pause_may_take_hours(void) {
    CU_ASSERT_EQUAL(pause_time(7200 * 1000).tv_sec, 7200);
    CU_ASSERT_EQUAL(pause_time(86400000).tv_sec, 86400);
    CU_ASSERT_EQUAL(pause_time(1500).tv_sec, 1);
    CU_ASSERT_EQUAL(pause_time(1500).tv_nsec, 500000000);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(a_pause_may_take_hours),
        TESTS_END,
    };

    return run_suite("cli pauses", tests);
}
