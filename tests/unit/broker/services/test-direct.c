/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/services/direct.h"

#include "base/log.h"
#include "broker/sessions/hello.h"
#include "broker/sessions/user.h"
#include "support/fake-hub.h"
#include "support/suite.h"

static Broker broker;
static Peer *server, *caller;
static uint64_t last_id;

static Peer *connected(uint8_t client) {
    Peer *peer = fake_peer_new(&broker);

    peer->address.sin6_family = AF_UNIX;
    fake_hello(&broker, peer, client);
    while (fake_next(peer))
        continue;
    return peer;
}

static void begin(void) {
    log_level = LOG_LEVEL_ERROR;
    last_id = 0;
    fake_hub_init(&broker);
    server = connected('s');
    caller = connected('c');
}

static void end(void) {
    fake_hub_deinit(&broker);
}

static void expect_ok(Peer *peer) {
    const Message *m = fake_next_real(peer);

    CU_ASSERT_PTR_NOT_NULL_FATAL(m);
    CU_ASSERT_EQUAL_FATAL(m->op, OP_OK);
    CU_ASSERT_EQUAL(m->id, last_id);
}

static void serve(Peer *peer, const char *endpoint, uint64_t flags) {
    fake_say(&broker, peer,
             &(Message){.op = OP_SERVE,
                        .id = ++last_id,
                        .name = span_text("calc"),
                        .serve.slots = 1,
                        .serve.flags = flags,
                        .serve.endpoint = span_text(endpoint)});
}

static void serve_with_key(Peer *peer, const char *endpoint, uint8_t key) {
    uint8_t bytes[KEY_SIZE];

    memset(bytes, key, sizeof(bytes));
    fake_say(&broker, peer,
             &(Message){.op = OP_SERVE,
                        .id = ++last_id,
                        .name = span_text("calc"),
                        .serve.slots = 1,
                        .serve.endpoint = span_text(endpoint),
                        .serve.key = span_of(bytes, sizeof(bytes))});
}

static void watch(Peer *peer) {
    fake_say(&broker, peer, &(Message){.op = OP_WATCH, .id = ++last_id, .name = span_text("calc")});
}

/* The caller is told of a server at this endpoint; "": it is gone. Returns the server's number. */
static uint64_t expect_server(Peer *peer, const char *endpoint, uint8_t ret_ticket[WIRE_TOKEN]) {
    const Message *m = fake_next_real(peer);

    CU_ASSERT_PTR_NOT_NULL_FATAL(m);
    CU_ASSERT_EQUAL_FATAL(m->op, OP_SERVER);
    CU_ASSERT_TRUE(span_is(m->name, "calc"));
    CU_ASSERT_TRUE(span_is(m->server.endpoint, endpoint));
    CU_ASSERT_EQUAL_FATAL(m->server.ticket.len, *endpoint ? WIRE_TOKEN : 0);
    if (ret_ticket && *endpoint)
        memcpy(ret_ticket, m->server.ticket.data, WIRE_TOKEN);
    return m->server.server;
}

static void expect_ticket(Peer *peer, uint64_t flags, const uint8_t ticket[WIRE_TOKEN]) {
    const Message *m = fake_next_real(peer);

    CU_ASSERT_PTR_NOT_NULL_FATAL(m);
    CU_ASSERT_EQUAL_FATAL(m->op, OP_TICKET);
    CU_ASSERT_EQUAL(m->ticket.flags, flags);
    CU_ASSERT_TRUE(span_is(m->name, "calc"));
    CU_ASSERT_EQUAL_FATAL(m->ticket.ticket.len, WIRE_TOKEN);
    CU_ASSERT_EQUAL(memcmp(m->ticket.ticket.data, ticket, WIRE_TOKEN), 0);
}

static void a_watcher_and_the_server_get_the_same_ticket(void) {
    uint8_t ticket[WIRE_TOKEN];

    begin();
    serve(server, "tcp://127.0.0.1:4000", 0);
    expect_ok(server);
    watch(caller);
    expect_server(caller, "tcp://127.0.0.1:4000", ticket);
    expect_ok(caller);
    expect_ticket(server, 0, ticket);
    /* A second WATCH tells nothing new. */
    watch(caller);
    expect_ok(caller);
    CU_ASSERT_PTR_NULL(fake_next_real(server));
    end();
}

static void a_watcher_learns_of_servers_that_come_and_go(void) {
    uint8_t ticket[WIRE_TOKEN];
    uint64_t number;

    begin();
    watch(caller);
    expect_ok(caller);
    serve(server, "ipc:///run/calc", 0);
    expect_ok(server);
    number = expect_server(caller, "ipc:///run/calc", ticket);
    expect_ticket(server, 0, ticket);
    fake_say(&broker, server,
             &(Message){.op = OP_UNSERVE, .id = ++last_id, .name = span_text("calc")});
    CU_ASSERT_EQUAL(expect_server(caller, "", NULL), number);
    expect_ticket(server, TICKET_UNUSED, ticket);
    expect_ok(server);
    serve(server, "ipc:///run/calc", 0);
    expect_ok(server);
    CU_ASSERT_NOT_EQUAL(expect_server(caller, "ipc:///run/calc", ticket), number);
    fake_peer_gone(&broker, server);
    expect_server(caller, "", NULL);
    end();
}

static void an_endpoint_with_a_new_key_is_offered_again(void) {
    static const char endpoint[] = "tcp://127.0.0.1:4000";
    const Message *m;

    begin();
    watch(caller);
    expect_ok(caller);
    serve_with_key(server, endpoint, 1);
    expect_server(caller, endpoint, NULL);
    serve_with_key(server, endpoint, 1);
    CU_ASSERT_PTR_NULL(fake_next_real(caller));
    serve_with_key(server, endpoint, 2);
    expect_server(caller, "", NULL);
    m = fake_next_real(caller);
    CU_ASSERT_PTR_NOT_NULL_FATAL(m);
    CU_ASSERT_EQUAL_FATAL(m->server.key.len, KEY_SIZE);
    CU_ASSERT_EQUAL(m->server.key.data[0], 2);
    end();
}

static void a_server_that_is_not_ready_is_not_offered(void) {
    uint8_t ticket[WIRE_TOKEN];

    begin();
    watch(caller);
    expect_ok(caller);
    serve(server, "ipc:///run/calc", SERVE_NOT_READY);
    expect_ok(server);
    CU_ASSERT_PTR_NULL(fake_next_real(caller));
    serve(server, "ipc:///run/calc", 0);
    expect_ok(server);
    expect_server(caller, "ipc:///run/calc", ticket);
    expect_ticket(server, 0, ticket);
    serve(server, "ipc:///run/calc", SERVE_NOT_READY);
    expect_server(caller, "", NULL);
    end();
}

static void a_server_announces_only_itself(void) {
    begin();
    watch(caller);
    expect_ok(caller);
    serve(server, "tcp://192.0.2.7:6379", 0);
    expect_ok(server);
    CU_ASSERT_PTR_NULL(fake_next_real(caller));
    end();
}

static void a_ticket_ends_with_the_callers_session(void) {
    uint8_t ticket[WIRE_TOKEN];

    begin();
    serve(server, "ipc:///run/calc", 0);
    expect_ok(server);
    watch(caller);
    expect_server(caller, "ipc:///run/calc", ticket);
    expect_ticket(server, 0, ticket);
    fake_peer_gone(&broker, caller);
    expect_ticket(server, TICKET_UNUSED, ticket);
    CU_ASSERT_PTR_NULL(fake_next_real(server));
    end();
}

static void a_client_that_is_kicked_is_cut_off_from_its_servers(void) {
    uint8_t ticket[WIRE_TOKEN];

    begin();
    serve(server, "ipc:///run/calc", 0);
    expect_ok(server);
    watch(caller);
    expect_server(caller, "ipc:///run/calc", ticket);
    expect_ticket(server, 0, ticket);
    session_end(caller->session, "kicked");
    sessions_turn_end(&broker);
    expect_ticket(server, TICKET_CUT, ticket);
    end();
}

static void a_caller_knows_a_bounded_number_of_servers(void) {
    unsigned n = 0;
    const Message *m;

    begin();
    for (unsigned i = 0; i < OFFERS_OF_WATCHER_MAX + 5; i++) {
        char endpoint[40];

        snprintf(endpoint, sizeof(endpoint), "ipc:///run/calc%u", i);
        serve(connected((uint8_t)(128 + i)), endpoint, 0);
    }
    watch(caller);
    while ((m = fake_next_real(caller)) && m->op == OP_SERVER)
        n++;
    CU_ASSERT_EQUAL(n, OFFERS_OF_WATCHER_MAX);
    end();
}

static void a_session_watches_a_bounded_number_of_services(void) {
    const Message *m;
    char name[20];

    begin();
    broker.limits.max_serves = 3;
    for (unsigned i = 0; i < 4; i++) {
        snprintf(name, sizeof(name), "s%u", i);
        fake_say(&broker, caller,
                 &(Message){.op = OP_WATCH, .id = ++last_id, .name = span_text(name)});
    }
    for (unsigned i = 0; i < 3; i++)
        CU_ASSERT_EQUAL(fake_next_real(caller)->op, OP_OK);
    m = fake_next_real(caller);
    CU_ASSERT_PTR_NOT_NULL_FATAL(m);
    CU_ASSERT_EQUAL_FATAL(m->op, OP_ERROR);
    CU_ASSERT_STRING_EQUAL(fake_error(m, "type"), "ferry.Full");
    end();
}

/* ---- many callers ---- */

enum { CALLERS = OFFERS_OF_SERVER_MAX + 1 };

static Peer *callers[CALLERS];
static unsigned n_told[CALLERS]; /* SERVERs with an endpoint */

static void begin_with_callers(void) {
    begin();
    memset(n_told, 0, sizeof(n_told));
    for (unsigned i = 0; i < CALLERS; i++) {
        uint8_t client[WIRE_TOKEN] = {1, (uint8_t)(i >> 8), (uint8_t)i};

        callers[i] = fake_peer_new(&broker);
        fake_say(&broker, callers[i],
                 &(Message){.op = OP_HELLO,
                            .hello.version_min = 1,
                            .hello.version_max = 1,
                            .hello.client = span_of(client, WIRE_TOKEN),
                            .hello.bytes = 1 << 30});
        watch(callers[i]);
    }
}

/* Reads the output of all callers. Returns the number of SERVERs with an endpoint. */
static unsigned count_told(void) {
    unsigned n = 0;
    const Message *m;

    for (unsigned i = 0; i < CALLERS; i++) {
        unsigned before = n_told[i];

        while (callers[i] && (m = fake_next_real(callers[i])))
            n_told[i] += m->op == OP_SERVER && m->server.endpoint.len > 0;
        n += n_told[i] - before;
    }
    return n;
}

/* Runs turns until no room needs one at once. Returns their number; *ret_n: what count_told() has
 * counted, at most `most` in one turn. */
static unsigned finish_reviews(unsigned most, unsigned *ret_n) {
    unsigned n_turns = 0;

    *ret_n = 0;
    while (rooms_next_ms(&broker) == 0) {
        unsigned n;

        fake_wait(&broker, 0);
        n = count_told();
        CU_ASSERT_TRUE(n <= most);
        *ret_n += n;
        n_turns++;
    }
    return n_turns;
}

static void many_callers_learn_of_a_server_over_several_turns(void) {
    enum { MOST = 200 };
    unsigned first, rest, last = CALLERS - 1;

    begin_with_callers();
    CU_ASSERT_EQUAL(count_told(), 0);
    serve(server, "ipc:///run/calc", 0);
    first = count_told();
    CU_ASSERT_TRUE(first > 0 && first <= MOST);
    CU_ASSERT_TRUE(finish_reviews(MOST, &rest) >= OFFERS_OF_SERVER_MAX / MOST);
    CU_ASSERT_EQUAL(first + rest, OFFERS_OF_SERVER_MAX);
    CU_ASSERT_EQUAL(n_told[last], 0);

    /* A caller goes, and the last one gets its place. */
    fake_peer_gone(&broker, callers[7]);
    callers[7] = NULL;
    count_told();
    finish_reviews(MOST, &rest);
    CU_ASSERT_EQUAL(n_told[last], 1);
    end();
}

/* A review stands at a caller that goes, and at the service whose last caller goes. */
static void callers_go_while_they_are_told_of_a_server(void) {
    begin_with_callers();
    serve(server, "ipc:///run/calc", 0);
    CU_ASSERT_EQUAL(rooms_next_ms(&broker), 0);
    for (unsigned i = 0; i < CALLERS; i++)
        fake_peer_gone(&broker, callers[i]);
    CU_ASSERT_NOT_EQUAL(rooms_next_ms(&broker), 0);
    end();
}

/* A caller that knows as many servers as it may learns of another one when one of them goes. */
static void a_caller_gets_another_server_for_one_that_has_gone(void) {
    Peer *servers[OFFERS_OF_WATCHER_MAX + 1];
    const Message *m;
    unsigned n = 0, n_gone = 0;

    begin();
    for (unsigned i = 0; i <= OFFERS_OF_WATCHER_MAX; i++) {
        char endpoint[40];

        snprintf(endpoint, sizeof(endpoint), "ipc:///run/calc%u", i);
        servers[i] = connected((uint8_t)(128 + i));
        serve(servers[i], endpoint, 0);
    }
    watch(caller);
    while ((m = fake_next_real(caller)))
        n += m->op == OP_SERVER;
    CU_ASSERT_EQUAL(n, OFFERS_OF_WATCHER_MAX);
    fake_peer_gone(&broker, servers[3]);
    fake_wait(&broker, 0);
    while ((m = fake_next_real(caller))) {
        n += m->op == OP_SERVER && m->server.endpoint.len > 0;
        n_gone += m->op == OP_SERVER && m->server.endpoint.len == 0;
    }
    CU_ASSERT_EQUAL(n_gone, 1);
    CU_ASSERT_EQUAL(n, OFFERS_OF_WATCHER_MAX + 1);
    end();
}

/* ---- counts ---- */

static Message tally(uint64_t calls, const char *service, const char *method, Span latencies) {
    return (Message){.op = OP_TALLY,
                     .name = span_text(service),
                     .tally.calls = calls,
                     .tally.errors = 2,
                     .tally.total_us = 900,
                     .tally.method = span_text(method),
                     .tally.latencies = latencies,
                     .tally.text = span_text("calc.TooBig")};
}

/* The result of ferry.Broker.methods has these bytes. */
static bool has_statistics(const char *bytes, size_t len) {
    CLEANUP(buffer_deinit) Buffer statistics = {0};

    CU_ASSERT_EQUAL(services_stats(broker.services, span_text("calc"), &statistics), 0);
    return memmem(statistics.data, statistics.len, bytes, len) != NULL;
}

static void counts_of_direct_calls_are_added(void) {
    static const char latencies[] = "\x94\x07\x05\x03\x01"; /* 5 calls of 7 us, 1 of 3 us */
    Message message = tally(6, "calc", "add", span_of(latencies, sizeof(latencies) - 1));

    begin();
    serve(server, "tcp://127.0.0.1:4000", 0);
    expect_ok(server);
    fake_say(&broker, server, &message);
    fake_say(&broker, server, &message);
    CU_ASSERT_PTR_NULL(fake_next_real(server));
    CU_ASSERT_EQUAL(broker.stats.calls, 12);
    CU_ASSERT_EQUAL(broker.stats.answers, 12);
    CU_ASSERT_EQUAL(broker.stats.errors, 4);
    CU_ASSERT_TRUE(has_statistics("\xa5"
                                  "calls\x0c",
                                  7));
    CU_ASSERT_TRUE(has_statistics("\xa6"
                                  "errors\x04",
                                  8));
    CU_ASSERT_TRUE(has_statistics("\xaa"
                                  "last_error\xab"
                                  "calc.TooBig",
                                  23));
    CU_ASSERT_TRUE(has_statistics("\xa9"
                                  "latencies\x98\x00\x00\x00\x02\x00\x00\x00\x0a",
                                  19));
    /* A service that the broker does not know is not counted. */
    message.name = span_text("other");
    fake_say(&broker, server, &message);
    CU_ASSERT_PTR_NULL(fake_next_real(server));
    CU_ASSERT_EQUAL(broker.stats.calls, 12);
    end();
}

static void counts_out_of_range_end_the_session(void) {
    static const char *const lists[] = {"\x93\x07\x05\x03", "\x92\xcc\xe0\x01",
                                        "\x92\x07\xce\xff\xff\xff\xff", "\x01"};
    static const size_t lens[] = {4, 4, 7, 1};

    for (size_t i = 0; i <= sizeof(lens) / sizeof(*lens); i++) {
        bool is_list = i < sizeof(lens) / sizeof(*lens);
        Message message = tally(is_list ? 1 : UINT64_MAX, "calc", "add",
                                is_list ? span_of(lists[i], lens[i]) : span_of("\x90", 1));

        begin();
        serve(server, "tcp://127.0.0.1:4000", 0);
        expect_ok(server);
        fake_say(&broker, server, &message);
        CU_ASSERT_EQUAL(fake_next_real(server)->op, OP_FAULT);
        CU_ASSERT_EQUAL(broker.stats.calls, 0);
        end();
    }
}

/* Methods beyond the limit count for the service alone. */
static void counts_of_too_many_methods_are_bounded(void) {
    char method[20];

    begin();
    serve(server, "tcp://127.0.0.1:4000", 0);
    expect_ok(server);
    for (unsigned i = 0; i < 1000; i++) {
        Message message;

        snprintf(method, sizeof(method), "m%u", i);
        message = tally(1, "calc", method, span_of("\x90", 1));
        fake_say(&broker, server, &message);
    }
    CU_ASSERT_EQUAL(broker.stats.calls, 1000);
    CU_ASSERT_TRUE(has_statistics("\xa4m255", 5));
    CU_ASSERT_FALSE(has_statistics("\xa4m256", 5));
    end();
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(a_watcher_and_the_server_get_the_same_ticket),
        TEST(a_watcher_learns_of_servers_that_come_and_go),
        TEST(an_endpoint_with_a_new_key_is_offered_again),
        TEST(a_server_that_is_not_ready_is_not_offered),
        TEST(a_server_announces_only_itself),
        TEST(a_ticket_ends_with_the_callers_session),
        TEST(a_client_that_is_kicked_is_cut_off_from_its_servers),
        TEST(a_caller_knows_a_bounded_number_of_servers),
        TEST(many_callers_learn_of_a_server_over_several_turns),
        TEST(callers_go_while_they_are_told_of_a_server),
        TEST(a_caller_gets_another_server_for_one_that_has_gone),
        TEST(a_session_watches_a_bounded_number_of_services),
        TEST(counts_of_direct_calls_are_added),
        TEST(counts_out_of_range_end_the_session),
        TEST(counts_of_too_many_methods_are_bounded),
        TESTS_END,
    };

    return run_suite("broker direct calls", tests);
}
