/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buffer.h"

#include "support/oom.h"
#include "support/suite.h"

static void a_growing_buffer_keeps_its_bytes(void) {
    CLEANUP(buffer_deinit) Buffer buffer = {0};

    for (unsigned i = 0; i < 100000; i++)
        buffer_append(&buffer, &(uint8_t){(uint8_t)i}, 1);
    CU_ASSERT_EQUAL(buffer.len, 100000);
    CU_ASSERT_FALSE(buffer.failed);
    for (unsigned i = 0; i < 100000; i += 777)
        CU_ASSERT_EQUAL(buffer.data[i], (uint8_t)i);
}

static void reserving_adds_nothing(void) {
    CLEANUP(buffer_deinit) Buffer buffer = {0};

    CU_ASSERT_PTR_NOT_NULL(buffer_reserve(&buffer, 1000));
    CU_ASSERT_EQUAL(buffer.len, 0);
    CU_ASSERT(buffer.cap >= 1000);
}

static void no_bytes_can_be_appended(void) {
    CLEANUP(buffer_deinit) Buffer buffer = {0};

    buffer_append(&buffer, NULL, 0);
    CU_ASSERT_EQUAL(buffer.len, 0);
    CU_ASSERT_FALSE(buffer.failed);
}

static void a_reset_buffer_is_empty_and_keeps_its_memory(void) {
    CLEANUP(buffer_deinit) Buffer buffer = {0};
    size_t cap;

    buffer_append(&buffer, "abc", 3);
    cap = buffer.cap;
    buffer_reset(&buffer);
    CU_ASSERT_EQUAL(buffer.len, 0);
    CU_ASSERT_EQUAL(buffer.cap, cap);
}

static void a_size_that_overflows_fails_for_good(void) {
    CLEANUP(buffer_deinit) Buffer buffer = {0};
    volatile size_t size = SIZE_MAX;

    buffer_append(&buffer, "abc", 3);
    CU_ASSERT_PTR_NULL(buffer_reserve(&buffer, size));
    CU_ASSERT_TRUE(buffer.failed);
    CU_ASSERT_PTR_NULL(buffer_reserve(&buffer, 1));
    buffer_append(&buffer, "d", 1);
    CU_ASSERT_EQUAL(buffer.len, 3);
    buffer_reset(&buffer);
    buffer_append(&buffer, "d", 1);
    CU_ASSERT_EQUAL(buffer.len, 1);
}

static void out_of_memory_is_kept_as_an_error(void) {
    OOM_EACH(n) {
        CLEANUP(buffer_deinit) Buffer buffer = {0};
        unsigned i;

        for (i = 0; i < 100; i++)
            buffer_append(&buffer, "0123456789abcdef0123456789abcdef", 32);
        OOM_STOP;
        CU_ASSERT_EQUAL(buffer.failed, oom_happened());
        CU_ASSERT(oom_happened() || buffer.len == 3200);
    }
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(a_growing_buffer_keeps_its_bytes),
        TEST(reserving_adds_nothing),
        TEST(no_bytes_can_be_appended),
        TEST(a_reset_buffer_is_empty_and_keeps_its_memory),
        TEST(a_size_that_overflows_fails_for_good),
        TEST(out_of_memory_is_kept_as_an_error),
        TESTS_END,
    };

    return run_suite("base buffers", tests);
}
