/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/address/endpoint.h"

#include <stdlib.h>
#include <string.h>

#include "support/suite.h"

static bool connects(const char *text) {
    return !endpoint_problem(text, ENDPOINT_CONNECT);
}

static bool binds(const char *text) {
    return !endpoint_problem(text, ENDPOINT_BIND);
}

static void valid_endpoints_are_accepted(void) {
    static const char *const good[] = {
        "tcp://127.0.0.1:5877", "tcp://localhost:1",         "tcp://broker.example.org:65535",
        "tcp://[::1]:5877",     "tcp://[fe80::1%eth0]:5877", "ipc:///run/ferry.sock",
        "ipc://here",           "ipc://@abstract",
    };

    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
        CU_ASSERT_TRUE(connects(good[i]));
        CU_ASSERT_TRUE(binds(good[i]));
    }
}

static void invalid_endpoints_are_refused(void) {
    static const char *const bad[] = {
        "",
        "tcp://",
        "ipc://",
        "ipc://*",
        "ipc://@",
        "localhost",
        "127.0.0.1:5877",
        "TCP://127.0.0.1:1",
        "udp://127.0.0.1:1",
        "inproc://x",
        "tcp://127.0.0.1",
        "tcp://127.0.0.1:",
        "tcp://:5877",
        "tcp://127.0.0.1:abc",
        "tcp://127.0.0.1:-1",
        "tcp://127.0.0.1:+1",
        "tcp://127.0.0.1: 1",
        "tcp://127.0.0.1:5877/",
        "tcp://127.0.0.1:65536",
        "tcp://127.0.0.1:99999",
        "tcp://127.0.0.1:4294967297",
        "tcp://a b:1",
        "tcp://a;b:1",
        "tcp://::1:5877",
        "tcp://[::1:5877",
        "tcp://[]:1",
        "tcp://[x]:1",
        "tcp://[]",
        "tcp://127.0.0.1:1,tcp://127.0.0.1:2",
    };

    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        CU_ASSERT_FALSE(connects(bad[i]));
        CU_ASSERT_FALSE(binds(bad[i]));
    }
}

static void any_port_and_any_address_are_only_for_listening(void) {
    CU_ASSERT_TRUE(binds("tcp://127.0.0.1:0"));
    CU_ASSERT_TRUE(binds("tcp://127.0.0.1:*"));
    CU_ASSERT_TRUE(binds("tcp://*:5877"));
    CU_ASSERT_FALSE(connects("tcp://127.0.0.1:0"));
    CU_ASSERT_FALSE(connects("tcp://127.0.0.1:*"));
    CU_ASSERT_FALSE(connects("tcp://*:5877"));
}

static void a_url_for_connecting_may_choose_libzmq(void) {
    CU_ASSERT_TRUE(connects("zmq+tcp://127.0.0.1:5877"));
    CU_ASSERT_TRUE(connects("zmq+ipc:///run/ferry.sock"));
    CU_ASSERT_FALSE(connects("zmq+udp://127.0.0.1:5877"));
    CU_ASSERT_FALSE(connects("zmq+zmq+tcp://127.0.0.1:5877"));
    CU_ASSERT_TRUE(binds("zmq+tcp://127.0.0.1:5877"));
    CU_ASSERT_FALSE(binds("zmq+zmq+tcp://127.0.0.1:5877"));
    CU_ASSERT_STRING_EQUAL(endpoint_after_transport("zmq+ipc://x"), "ipc://x");
    CU_ASSERT_STRING_EQUAL(endpoint_after_transport("ipc://x"), "ipc://x");
}

static void a_path_may_have_107_bytes(void) {
    char text[6 + 108 + 1] = "ipc://";

    memset(text + 6, 'x', 107);
    CU_ASSERT_TRUE(binds(text));
    text[6 + 107] = 'x';
    CU_ASSERT_FALSE(binds(text));
}

static void a_host_may_have_255_bytes(void) {
    char text[300] = "tcp://";

    memset(text + 6, 'x', 255);
    strcpy(text + 6 + 255, ":1");
    CU_ASSERT_TRUE(connects(text));
    strcpy(text + 6 + 255, "x:1");
    CU_ASSERT_FALSE(connects(text));
}

static void local_endpoints_are_recognised(void) {
    CU_ASSERT_TRUE(endpoint_is_local("ipc:///run/x"));
    CU_ASSERT_TRUE(endpoint_is_local("tcp://127.0.0.1:1"));
    CU_ASSERT_TRUE(endpoint_is_local("tcp://127.1.2.3:1"));
    CU_ASSERT_TRUE(endpoint_is_local("tcp://localhost:1"));
    CU_ASSERT_TRUE(endpoint_is_local("tcp://[::1]:1"));
    CU_ASSERT_FALSE(endpoint_is_local("tcp://127.example.org:1"));
    CU_ASSERT_FALSE(endpoint_is_local("tcp://localhost.example.org:1"));
    CU_ASSERT_FALSE(endpoint_is_local("tcp://0.0.0.0:1"));
    CU_ASSERT_FALSE(endpoint_is_local("tcp://*:1"));
    CU_ASSERT_FALSE(endpoint_is_local("tcp://[::]:1"));
    CU_ASSERT_FALSE(endpoint_is_local("tcp://eth0:1"));
    CU_ASSERT_FALSE(endpoint_is_local("127.0.0.1:1"));
}

static void only_ipc_endpoints_with_a_file_have_a_path(void) {
    CU_ASSERT_STRING_EQUAL(endpoint_path("ipc:///run/x"), "/run/x");
    CU_ASSERT_PTR_NULL(endpoint_path("ipc://@abstract"));
    CU_ASSERT_PTR_NULL(endpoint_path("tcp://127.0.0.1:1"));
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(valid_endpoints_are_accepted),
        TEST(invalid_endpoints_are_refused),
        TEST(any_port_and_any_address_are_only_for_listening),
        TEST(a_url_for_connecting_may_choose_libzmq),
        TEST(a_path_may_have_107_bytes),
        TEST(a_host_may_have_255_bytes),
        TEST(local_endpoints_are_recognised),
        TEST(only_ipc_endpoints_with_a_file_have_a_path),
        TESTS_END,
    };

    return run_suite("rpc/address endpoints", tests);
}
