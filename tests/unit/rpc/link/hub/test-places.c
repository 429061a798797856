/* SPDX-License-Identifier: Apache-2.0 */
/* The rate of handshakes of an address. The clock stands still until the test moves it.
 *  */

#include <arpa/inet.h>

#include "rpc/link/hub/hub-private.h"
#include "support/suite.h"

enum { START_MS = 1000000, RATE = 10, MANY = 10000 };

static Hub *hub;
static CurveKeys keys;
static Budget budget;

static void begin(unsigned n_pairs) {
    HubOptions options = {.keys = &keys, .budget = &budget, .max_handshakes = RATE};

    keys = (CurveKeys){.is_server = true, .n_pairs = n_pairs};
    budget = (Budget){0};
    CU_ASSERT_EQUAL_FATAL(hub_new(&hub, &options, NULL), 0);
    hub->options.max_connections = 10 * MANY;
    hub->now_ms = START_MS;
}

static void end(void) {
    hub = hub_free(hub);
    CU_ASSERT_EQUAL(budget.bytes[BUDGET_CONNECTIONS], 0);
}

static SocketAddress address_of(const char *text) {
    SocketAddress address = {0};

    if (inet_pton(AF_INET, text, &address.v4.sin_addr) == 1)
        address.any.sa_family = AF_INET;
    else if (inet_pton(AF_INET6, text, &address.v6.sin6_addr) == 1)
        address.any.sa_family = AF_INET6;
    else
        address.any.sa_family = AF_UNIX;
    return address;
}

/* Opens a connection and closes it at once. Returns NULL, or the reason why it was refused. */
static const char *visit(const SocketAddress *address) {
    Origin *origin = NULL;
    const char *problem = place_take(hub, address, &origin);

    if (!problem)
        place_leave(hub, origin);
    return problem;
}

static unsigned visits(const char *text, unsigned n) {
    SocketAddress address = address_of(text);
    unsigned n_allowed = 0;

    while (n-- > 0)
        n_allowed += visit(&address) == NULL;
    return n_allowed;
}

static void the_handshakes_of_an_address_in_a_second_are_limited(void) {
    SocketAddress address = address_of("192.0.2.1");
    const char *problem;

    begin(1);
    CU_ASSERT_EQUAL(visits("192.0.2.1", 3 * RATE), RATE);
    problem = visit(&address);
    CU_ASSERT_PTR_NOT_NULL_FATAL(problem);
    CU_ASSERT_PTR_NOT_NULL(strstr(problem, "max_handshakes_per_address"));
    hub->now_ms += 99;
    CU_ASSERT_EQUAL(visits("192.0.2.1", RATE), 0);
    hub->now_ms += 1;
    CU_ASSERT_EQUAL(visits("192.0.2.1", RATE), 1);
    hub->now_ms += 500;
    CU_ASSERT_EQUAL(visits("192.0.2.1", RATE), RATE / 2);
    hub->now_ms += 1000;
    CU_ASSERT_EQUAL(visits("192.0.2.1", 3 * RATE), RATE);
    CU_ASSERT_EQUAL(hub->n_connections, 0);
    end();
}

static void other_addresses_are_not_affected(void) {
    begin(1);
    CU_ASSERT_EQUAL(visits("192.0.2.1", 2 * RATE), RATE);
    CU_ASSERT_EQUAL(visits("192.0.2.2", 2 * RATE), RATE);
    /* The /64 network of IPv6 is one address: a single machine often has a whole network. */
    CU_ASSERT_EQUAL(visits("2001:db8::1", RATE), RATE);
    CU_ASSERT_EQUAL(visits("2001:db8::2", RATE), 0);
    CU_ASSERT_EQUAL(visits("2001:db8:0:1::1", RATE), RATE);
    CU_ASSERT_EQUAL(visits("a Unix socket", 3 * RATE), 3 * RATE);
    end();
}

static void connections_without_keys_are_not_limited(void) {
    begin(0);
    CU_ASSERT_EQUAL(visits("192.0.2.1", 3 * RATE), 3 * RATE);
    keys.n_pairs = 1; /* as a reload may do */
    CU_ASSERT_EQUAL(visits("192.0.2.1", 3 * RATE), RATE);
    keys.n_pairs = 0;
    CU_ASSERT_EQUAL(visits("192.0.2.1", 3 * RATE), 3 * RATE);
    end();
    begin(1);
    hub->options.max_handshakes = 0;
    CU_ASSERT_EQUAL(visits("192.0.2.1", MANY), MANY);
    end();
}

/* Records of addresses without connections stay for a second, and their number is limited. */
static void idle_addresses_are_forgotten_after_a_second(void) {
    char text[32];

    begin(1);
    visits("192.0.2.1", 1);
    CU_ASSERT_EQUAL(hub->n_idle, 1);
    hub->now_ms += 999;
    places_look(hub);
    CU_ASSERT_EQUAL(hub->n_idle, 1);
    hub->now_ms += 1;
    places_look(hub);
    CU_ASSERT_EQUAL(hub->n_idle, 0);
    CU_ASSERT_EQUAL(budget.bytes[BUDGET_CONNECTIONS], 0);
    for (unsigned i = 0; i < MANY; i++) {
        snprintf(text, sizeof(text), "10.1.%u.%u", i / 250, i % 250);
        CU_ASSERT_EQUAL(visits(text, 1), 1);
    }
    CU_ASSERT_EQUAL(hub->n_idle, IDLE_ORIGINS_MAX);
    CU_ASSERT(budget.bytes[BUDGET_CONNECTIONS] < IDLE_ORIGINS_MAX * 256);
    end();
}

/* A record leaves the idle list while it is in use, and returns to it afterwards. */
static void a_returning_address_keeps_its_record(void) {
    SocketAddress address = address_of("192.0.2.1");
    Origin *first, *second;

    begin(1);
    visits("192.0.2.1", RATE - 2);
    CU_ASSERT_EQUAL(hub->n_idle, 1);
    CU_ASSERT_PTR_NULL(place_take(hub, &address, &first));
    CU_ASSERT_EQUAL(hub->n_idle, 0);
    CU_ASSERT_PTR_NULL(place_take(hub, &address, &second));
    CU_ASSERT_PTR_EQUAL(first, second);
    CU_ASSERT_EQUAL(visits("192.0.2.1", RATE), 0);
    place_leave(hub, first);
    CU_ASSERT_EQUAL(hub->n_idle, 0);
    place_leave(hub, second);
    CU_ASSERT_EQUAL(hub->n_idle, 1);
    CU_ASSERT_EQUAL(visits("192.0.2.1", RATE), 0);
    hub->now_ms += 2000;
    CU_ASSERT_PTR_NULL(place_take(hub, &address, &first));
    hub->now_ms += 2000;
    place_leave(hub, first); /* the rate has covered the handshakes: no record is needed */
    CU_ASSERT_EQUAL(hub->n_idle, 0);
    end();
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(the_handshakes_of_an_address_in_a_second_are_limited),
        TEST(other_addresses_are_not_affected),
        TEST(connections_without_keys_are_not_limited),
        TEST(idle_addresses_are_forgotten_after_a_second),
        TEST(a_returning_address_keeps_its_record),
        TESTS_END,
    };

    return run_suite("rpc/link/hub places", tests);
}
