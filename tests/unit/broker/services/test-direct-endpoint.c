/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/services/direct-endpoint.h"

#include "support/suite.h"

static const uint8_t key[32] = {1};

static const char *announced(const char *endpoint, const char *host) {
    static char ret[DIRECT_ENDPOINT_MAX];
    DirectOrigin origin = {.host = host};

    return direct_endpoint(span_text(endpoint), (Span){NULL, 0}, &origin, ret) ? NULL : ret;
}

static void a_server_announces_its_own_address(void) {
    CU_ASSERT_STRING_EQUAL(announced("tcp://192.0.2.7:4000", "192.0.2.7"), "tcp://192.0.2.7:4000");
    CU_ASSERT_STRING_EQUAL(announced("tcp://[2001:db8::7]:4000", "[2001:db8::7]"),
                           "tcp://[2001:db8::7]:4000");
    CU_ASSERT_PTR_NULL(announced("tcp://192.0.2.8:4000", "192.0.2.7"));
    CU_ASSERT_PTR_NULL(announced("tcp://192.0.2.70:4000", "192.0.2.7"));
    CU_ASSERT_PTR_NULL(announced("tcp://host.example:4000", "192.0.2.7"));
    CU_ASSERT_PTR_NULL(announced("tcp://127.0.0.1:4000", "192.0.2.7"));
    CU_ASSERT_PTR_NULL(announced("tcp://192.0.2.7:4000", "127.0.0.1"));
}

static void the_broker_fills_in_the_address_of_a_server_that_listens_on_all(void) {
    CU_ASSERT_STRING_EQUAL(announced("tcp://0.0.0.0:4000", "192.0.2.7"), "tcp://192.0.2.7:4000");
    CU_ASSERT_STRING_EQUAL(announced("tcp://[::]:4000", "[2001:db8::7]"),
                           "tcp://[2001:db8::7]:4000");
    CU_ASSERT_STRING_EQUAL(announced("tcp://0.0.0.0:4000", ""), "tcp://127.0.0.1:4000");
}

static void paths_are_for_servers_on_the_brokers_machine(void) {
    CU_ASSERT_STRING_EQUAL(announced("ipc:///run/calc.sock", ""), "ipc:///run/calc.sock");
    CU_ASSERT_STRING_EQUAL(announced("ipc:///run/calc.sock", "127.0.0.1"), "ipc:///run/calc.sock");
    CU_ASSERT_STRING_EQUAL(announced("ipc://@calc", "[::1]"), "ipc://@calc");
    CU_ASSERT_PTR_NULL(announced("ipc:///run/calc.sock", "192.0.2.7"));
    CU_ASSERT_PTR_NULL(announced("ipc://calc.sock", ""));
}

static void other_texts_are_not_announced(void) {
    char text[DIRECT_ENDPOINT_MAX + 1] = "ipc:///";

    memset(text + 7, 'a', DIRECT_ENDPOINT_MAX - 7);
    CU_ASSERT_PTR_NULL(announced(text, ""));
    CU_ASSERT_PTR_NULL(announced("", ""));
    CU_ASSERT_PTR_NULL(announced("http://127.0.0.1:80", ""));
    CU_ASSERT_PTR_NULL(announced("zmq+tcp://127.0.0.1:4000", ""));
    CU_ASSERT_PTR_NULL(announced("tcp://127.0.0.1:0", ""));
    CU_ASSERT_PTR_NULL(announced("tcp://127.0.0.1:4000\n", ""));
    CU_ASSERT_PTR_NULL(announced("tcp://127.0.0.1", ""));
    /* A caller would take it for a list of brokers. */
    CU_ASSERT_PTR_NULL(announced("ipc:///run/calc,tcp://192.0.2.8:80", ""));
    CU_ASSERT_PTR_NULL(announced("ipc:///run/calc?prefer=order", ""));
}

static void a_broker_with_keys_wants_keys_of_tcp_endpoints(void) {
    char ret[DIRECT_ENDPOINT_MAX];
    DirectOrigin origin = {.host = "127.0.0.1", .needs_key = true};
    Span tcp = span_text("tcp://127.0.0.1:4000"), none = {NULL, 0};

    CU_ASSERT_PTR_NOT_NULL(direct_endpoint(tcp, none, &origin, ret));
    CU_ASSERT_PTR_NOT_NULL(direct_endpoint(tcp, span_of(key, 31), &origin, ret));
    CU_ASSERT_PTR_NULL(direct_endpoint(tcp, span_of(key, 32), &origin, ret));
    CU_ASSERT_PTR_NULL(direct_endpoint(span_text("ipc:///run/calc.sock"), none, &origin, ret));
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(a_server_announces_its_own_address),
        TEST(the_broker_fills_in_the_address_of_a_server_that_listens_on_all),
        TEST(paths_are_for_servers_on_the_brokers_machine),
        TEST(other_texts_are_not_announced),
        TEST(a_broker_with_keys_wants_keys_of_tcp_endpoints),
        TESTS_END,
    };

    return run_suite("direct-endpoint", tests);
}
