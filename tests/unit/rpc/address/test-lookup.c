/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/address/lookup.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#include "support/oom.h"
#include "support/suite.h"

static void only_names_are_looked_up(void) {
    static const char *const names[] = {"tcp://localhost:5877", "tcp://broker.example:1",
                                        "tcp://1.2.3:5877", "tcp://a:65535"};
    static const char *const others[] = {"ipc:///tmp/broker", "tcp://127.0.0.1:5877",
                                         "tcp://[::1]:5877", "tcp://[fe80::1%eth0]:5877"};

    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        CU_ASSERT_TRUE(lookup_is_needed(names[i]));
    for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
        CU_ASSERT_FALSE(lookup_is_needed(others[i]));
}

static void localhost_is_found(void) {
    Lookup *lookup = NULL;
    bool has_four = false;
    struct pollfd fd;

    CU_ASSERT_EQUAL(lookup_new(&lookup, "tcp://localhost:5877"), 0);
    fd = (struct pollfd){lookup_fd(lookup), POLLIN, 0};
    CU_ASSERT_EQUAL(poll(&fd, 1, 20000), 1);
    CU_ASSERT_TRUE(lookup_is_done(lookup));
    for (unsigned i = 0; lookup_endpoint(lookup, i); i++)
        has_four = has_four || strcmp(lookup_endpoint(lookup, i), "tcp://127.0.0.1:5877") == 0;
    CU_ASSERT_TRUE(has_four);
    lookup_free(lookup);
}

static void a_lookup_can_be_freed_at_any_time(void) {
    for (int i = 0; i < 100; i++) {
        Lookup *lookup = NULL;

        CU_ASSERT_EQUAL(lookup_new(&lookup, "tcp://localhost:5877"), 0);
        CU_ASSERT_PTR_NULL(lookup_free(lookup));
    }
    CU_ASSERT_PTR_NULL(lookup_free(NULL));
}

static void an_address_is_not_looked_up(void) {
    Lookup *lookup = NULL;

    CU_ASSERT_EQUAL(lookup_new(&lookup, "tcp://127.0.0.1:5877"), -EINVAL);
    CU_ASSERT_PTR_NULL(lookup);
}

static void running_out_of_memory_is_survived(void) {
    OOM_EACH(n) {
        Lookup *lookup = NULL;
        int r = lookup_new(&lookup, "tcp://localhost:5877");

        OOM_STOP;
        CU_ASSERT_EQUAL(r, oom_happened() ? -ENOMEM : 0);
        lookup_free(lookup);
    }
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(only_names_are_looked_up),          TEST(localhost_is_found),
        TEST(a_lookup_can_be_freed_at_any_time), TEST(an_address_is_not_looked_up),
        TEST(running_out_of_memory_is_survived), TESTS_END,
    };

    return run_suite("rpc/address lookup", tests);
}
