/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/connection/guard.h"

#include <stdio.h>
#include <string.h>

#include "cache/connection/reply.h"
#include "support/suite.h"

static const char good[] =
    "+OK\r\n-ERR x\r\n:-12\r\n$-1\r\n*-1\r\n$0\r\n\r\n$5\r\na\r\nbc\r\n*0\r\n"
    "*2\r\n*1\r\n:1\r\n$1\r\nx\r\n";

static void good_replies_pass_whole_and_byte_by_byte(void) {
    size_t len = sizeof(good) - 1, n;
    Guard guard = {0};

    CU_ASSERT_EQUAL(guard_feed(&guard, (const uint8_t *)good, len), len);
    CU_ASSERT_PTR_NULL(guard.problem);
    CU_ASSERT_EQUAL(guard.depth, 0);
    for (size_t step = 1; step < len; step++) {
        ReplyReader reader;
        Reply *reply;

        n = 0;
        CU_ASSERT_EQUAL(reply_reader_init(&reader), 0);
        for (size_t at = 0; at < len; at += step) {
            CU_ASSERT_EQUAL(reply_reader_feed(&reader, (const uint8_t *)good + at,
                                              len - at < step ? len - at : step),
                            0);
            while (reply_reader_next(&reader, &reply) == 0 && reply) {
                n++;
                reply_free(reply);
            }
        }
        CU_ASSERT_EQUAL(n, 9);
        reply_reader_deinit(&reader);
    }
}

static void limits_hold_to_the_number(void) {
    char text[64];
    Guard guard = {0};
    int len = snprintf(text, sizeof(text), "$%d\r\n", GUARD_BULK);

    guard_feed(&guard, (const uint8_t *)text, (size_t)len);
    CU_ASSERT_PTR_NULL(guard.problem);
    guard = (Guard){0};
    len = snprintf(text, sizeof(text), "$%d\r\n", GUARD_BULK + 1);
    CU_ASSERT_EQUAL(guard_feed(&guard, (const uint8_t *)text, (size_t)len), 0);
    CU_ASSERT_PTR_NOT_NULL(guard.problem);
    guard = (Guard){0};
    len = snprintf(text, sizeof(text), "*%d\r\n", GUARD_ELEMENTS);
    guard_feed(&guard, (const uint8_t *)text, (size_t)len);
    CU_ASSERT_PTR_NULL(guard.problem);
    /* One more nested array would exceed the limit of elements. */
    guard_feed(&guard, (const uint8_t *)"*1\r\n", 4);
    CU_ASSERT_PTR_NOT_NULL(guard.problem);
}

static void nesting_ends_at_its_limit(void) {
    Guard guard = {0};

    for (int i = 0; i < GUARD_DEPTH; i++)
        CU_ASSERT_EQUAL(guard_feed(&guard, (const uint8_t *)"*1\r\n", 4), 4);
    CU_ASSERT_PTR_NULL(guard.problem);
    CU_ASSERT_EQUAL(guard_feed(&guard, (const uint8_t *)"*1\r\n", 4), 0);
    CU_ASSERT_PTR_NOT_NULL(guard.problem);
}

static void lines_without_end_are_refused(void) {
    static uint8_t line[GUARD_LINE + 16];
    Guard guard = {0};
    ReplyReader reader;
    int r = 0;

    memset(line, 'e', sizeof(line));
    line[0] = '-';
    CU_ASSERT_EQUAL(guard_feed(&guard, line, GUARD_LINE - 1), 0);
    CU_ASSERT_PTR_NULL(guard.problem);
    guard_feed(&guard, line, GUARD_LINE);
    CU_ASSERT_PTR_NOT_NULL(guard.problem);
    reply_reader_init(&reader);
    for (size_t i = 0; i < sizeof(line) && r == 0; i++)
        r = reply_reader_feed(&reader, line + i, 1);
    CU_ASSERT_TRUE(r < 0);
    CU_ASSERT_PTR_NOT_NULL(reader.problem);
    reply_reader_deinit(&reader);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(good_replies_pass_whole_and_byte_by_byte),
        TEST(limits_hold_to_the_number),
        TEST(nesting_ends_at_its_limit),
        TEST(lines_without_end_are_refused),
        TESTS_END,
    };

    return run_suite("cache reply guard", tests);
}
