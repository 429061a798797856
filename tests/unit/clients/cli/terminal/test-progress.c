/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "clients/cli/terminal/progress.h"
#include "support/suite.h"

static void rates_are_short(void) {
    char text[16];

    CU_ASSERT_STRING_EQUAL(progress_si(text, 0), "0.00");
    CU_ASSERT_STRING_EQUAL(progress_si(text, 12.34), "12.3");
    CU_ASSERT_STRING_EQUAL(progress_si(text, 9999), "9999");
    CU_ASSERT_STRING_EQUAL(progress_si(text, 870000), "870 k");
    CU_ASSERT_STRING_EQUAL(progress_si(text, 1234567), "1235 k");
    CU_ASSERT_STRING_EQUAL(progress_si(text, 12345678), "12.3 M");
}

static void a_known_total_shows_a_bar(void) {
    Progress progress;
    char text[128];

    progress_start(&progress, NULL, "pushed", 100, 1000000);
    progress_text(&progress, 50, 2000000, text);
    CU_ASSERT_STRING_EQUAL(text, "pushed  50 % [============>           ] 50.0/s, 1.0 s left");
    progress_text(&progress, 100, 3000000, text);
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "100 % [========================]"));
    progress_text(&progress, 200, 3000000, text);
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "100 %"));
}

static void an_unknown_total_shows_a_count(void) {
    Progress progress;
    char text[128];

    progress_start(&progress, NULL, "pushed", 0, 0);
    CU_ASSERT_STRING_EQUAL(progress_text(&progress, 10, 1000000, text), "pushed: 10, 10.0/s");
    CU_ASSERT_STRING_EQUAL(progress_text(&progress, 0, 0, text), "pushed: 0, 0.00/s");
}

static void without_a_terminal_nothing_is_drawn(void) {
    Progress progress;

    progress_start(&progress, NULL, "pushed", 10, 0);
    progress_update(&progress, 5, 10000000);
    CU_ASSERT_FALSE(progress.is_shown);
    progress_end(&progress);
}

static void it_draws_ten_times_a_second_and_wipes_itself(void) {
    char text[512] = "";
    FILE *to = fmemopen(text, sizeof(text), "w");
    Progress progress;

    progress_start(&progress, to, "x", 10, 0);
    progress_update(&progress, 1, 50000);
    CU_ASSERT_FALSE(progress.is_shown);
    progress_update(&progress, 2, 100000);
    CU_ASSERT_TRUE(progress.is_shown);
    progress_end(&progress);
    fclose(to);
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "\rx  20 %"));
    CU_ASSERT_STRING_EQUAL(text + strlen(text) - 4, "\r\x1b[K");
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(rates_are_short),
        TEST(a_known_total_shows_a_bar),
        TEST(an_unknown_total_shows_a_count),
        TEST(without_a_terminal_nothing_is_drawn),
        TEST(it_draws_ten_times_a_second_and_wipes_itself),
        TESTS_END,
    };

    return run_suite("cli progress", tests);
}
