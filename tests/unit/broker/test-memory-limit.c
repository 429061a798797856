/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/memory-limit.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "broker/sessions/session.h"
#include "support/suite.h"

static uint64_t limit_of_text(const char *text) {
    char path[] = "/tmp/ferry-test-limit-XXXXXX";
    int fd = mkstemp(path);
    uint64_t limit;

    CU_ASSERT_EQUAL(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    limit = memory_limit_in(path);
    unlink(path);
    return limit;
}

static void a_limit_is_read(void) {
    CU_ASSERT_EQUAL(limit_of_text("67108864\n"), 67108864);
    CU_ASSERT_EQUAL(limit_of_text("max\n"), UINT64_MAX);
    CU_ASSERT_EQUAL(limit_of_text(""), UINT64_MAX);
    CU_ASSERT_EQUAL(memory_limit_in("/nowhere/memory.max"), UINT64_MAX);
}

static void a_resource_limit_counts(void) {
    struct rlimit before, less = {UINT64_C(256) << 20, RLIM_INFINITY};

    CU_ASSERT(memory_allowed() > UINT64_C(16) << 20);
    CU_ASSERT_EQUAL(getrlimit(RLIMIT_DATA, &before), 0);
    less.rlim_max = before.rlim_max;
    CU_ASSERT_EQUAL(setrlimit(RLIMIT_DATA, &less), 0);
    CU_ASSERT(memory_allowed() <= less.rlim_cur);
    CU_ASSERT_EQUAL(setrlimit(RLIMIT_DATA, &before), 0);
}

static void limits_fit_into_memory(void) {
    Limits limits = limits_default;

    limits_fit(&limits, UINT64_MAX);
    CU_ASSERT_EQUAL(memcmp(&limits, &limits_default, sizeof(limits)), 0);
    limits_fit(&limits, 64 << 20);
    CU_ASSERT_EQUAL(limits.max_total_bytes, 16 << 20);
    CU_ASSERT_EQUAL(limits.max_queue_bytes, 16 << 20);
    CU_ASSERT_EQUAL(limits.max_memory, 32 << 20);
    CU_ASSERT_EQUAL(limits.max_transfer_bytes, 16 << 20);
    CU_ASSERT_EQUAL(limits.max_queue_memory, 8 << 20);
    CU_ASSERT_EQUAL(limits.max_session_bytes, 8 << 20);
    CU_ASSERT_EQUAL(limits.max_subscriber_bytes, limits_default.max_subscriber_bytes);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(a_limit_is_read),
        TEST(a_resource_limit_counts),
        TEST(limits_fit_into_memory),
        TESTS_END,
    };

    return run_suite("broker memory", tests);
}
