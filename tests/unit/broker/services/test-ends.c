/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions with thousands of calls end in slices: other sessions are served between them. */

#include "base/log.h"
#include "broker/services/services.h"
#include "broker/sessions/hello.h"
#include "support/fake-hub.h"
#include "support/suite.h"

enum { N_CALLS = 5000, SLICE = 1024 };

static Broker broker;
static Peer *server, *caller, *bystander;

static Op serve_slots(Peer *peer, const char *instance, uint32_t slots) {
    const Message *m;

    fake_say(&broker, peer,
             &(Message){.op = OP_SERVE,
                        .id = 1,
                        .name = span_text("calc.Calc"),
                        .serve.slots = slots,
                        .serve.instance = span_text(instance)});
    m = fake_next_real(peer);
    return m ? m->op : 0;
}

static Op serve(Peer *peer, const char *instance) {
    return serve_slots(peer, instance, 2 * N_CALLS);
}

static void call(Peer *peer, uint64_t id, uint64_t flags, const char *instance) {
    uint8_t body[] = {0xCD, (uint8_t)(id >> 8), (uint8_t)id};

    fake_say(&broker, peer,
             &(Message){.op = OP_CALL,
                        .id = id,
                        .call.timeout_ms = 100000,
                        .call.flags = flags,
                        .call.instance = span_text(instance),
                        .name = span_text("calc.Calc"),
                        .call.method = span_text("add"),
                        .body = span_of(body, sizeof(body))});
}

static void connect_all(void) {
    log_level = LOG_LEVEL_ERROR;
    fake_hub_init(&broker);
    server = fake_peer_connected(&broker, 's');
    caller = fake_peer_connected(&broker, 'c');
    bystander = fake_peer_connected(&broker, 'b');
}

/* The caller makes calls; there is one server. */
static void begin(uint64_t flags) {
    connect_all();
    CU_ASSERT_EQUAL(serve(server, "one"), OP_OK);
    for (uint64_t id = 1; id <= N_CALLS; id++) {
        call(caller, id, flags, "");
        fake_next_real(server);
    }
    CU_ASSERT_EQUAL(services_n_calls(broker.services), N_CALLS);
}

/* Runs a turn in which the bystander gets an answer. */
static void turn(void) {
    const Message *m;

    fake_say(&broker, bystander, &(Message){.op = OP_PING, .id = 7});
    m = fake_next(bystander);
    CU_ASSERT_PTR_NOT_NULL_FATAL(m);
    CU_ASSERT_EQUAL(m->op, OP_PONG);
}

/* Ends the session. Each turn must end a slice of the calls in this map. */
static void lose_in_slices(Peer *peer, const IdMap *map) {
    size_t before = map->n;

    CU_ASSERT_EQUAL(before, N_CALLS);
    CU_ASSERT_FALSE(sessions_peer_gone(&broker, peer));
    CU_ASSERT(map->n >= before - SLICE);
    for (before = map->n; before > SLICE; before = map->n) {
        turn();
        CU_ASSERT_EQUAL_FATAL(map->n, before - SLICE);
        CU_ASSERT_FALSE(sessions_peer_gone(&broker, peer));
    }
}

static void the_calls_of_a_lost_caller_end_in_slices(void) {
    const Message *m;
    unsigned n = 0;

    begin(0);
    lose_in_slices(caller, &((Session *)caller->session)->calls);
    fake_peer_gone(&broker, caller);
    while ((m = fake_next_real(server)))
        n += m->op == OP_CANCEL;
    CU_ASSERT_EQUAL(n, N_CALLS);
    fake_hub_deinit(&broker);
}

static void the_calls_of_a_lost_server_fail_in_slices(void) {
    const Message *m;
    unsigned n = 0;

    begin(0);
    lose_in_slices(server, &((Session *)server->session)->requests);
    fake_peer_gone(&broker, server);
    while ((m = fake_next_real(caller)))
        n += m->op == OP_ERROR && strcmp(fake_error(m, "type"), "ferry.ServerLost") == 0;
    CU_ASSERT_EQUAL(n, N_CALLS);
    CU_ASSERT_EQUAL(services_n_calls(broker.services), 0);
    CU_ASSERT_EQUAL(services_count(broker.services), 0);
    fake_hub_deinit(&broker);
}

/* The caller makes calls that wait for this instance (empty: any); the only server withdraws. */
static void withdraw_beside_waiting_calls(const char *instance) {
    const IdMap *calls;
    const Message *m;
    unsigned n = 0;

    connect_all();
    CU_ASSERT_EQUAL(serve_slots(server, "one", 1), OP_OK);
    call(bystander, 1, 0, "");
    for (uint64_t id = 1; id <= N_CALLS; id++)
        call(caller, id, 0, instance);
    calls = &((Session *)caller->session)->calls;
    CU_ASSERT_EQUAL(calls->n, N_CALLS);
    fake_say(&broker, server,
             &(Message){.op = OP_UNSERVE, .id = 2, .name = span_text("calc.Calc")});
    for (size_t left = N_CALLS; left > 0; turn()) {
        left -= left < SLICE ? left : SLICE;
        CU_ASSERT_EQUAL_FATAL(calls->n, left);
    }
    while ((m = fake_next_real(caller)))
        n += m->op == OP_ERROR && strcmp(fake_error(m, "type"), "ferry.NoSuchService") == 0;
    CU_ASSERT_EQUAL(n, N_CALLS);
    fake_hub_deinit(&broker);
}

static void calls_that_wait_for_a_lost_server_fail_in_slices(void) {
    withdraw_beside_waiting_calls("");
    withdraw_beside_waiting_calls("one");
}

static void calls_that_still_wait_go_to_a_new_server(void) {
    const Message *m;
    unsigned n = 0;

    connect_all();
    CU_ASSERT_EQUAL(serve_slots(server, "one", 1), OP_OK);
    call(bystander, 1, 0, "");
    for (uint64_t id = 1; id <= N_CALLS; id++)
        call(caller, id, 0, "");
    fake_say(&broker, server,
             &(Message){.op = OP_UNSERVE, .id = 2, .name = span_text("calc.Calc")});
    CU_ASSERT_EQUAL(serve(bystander, "two"), OP_OK);
    while ((m = fake_next_real(bystander)))
        n += m->op == OP_CALL;
    CU_ASSERT_EQUAL(n, N_CALLS - SLICE);
    fake_hub_deinit(&broker);
}

static void idempotent_calls_move_in_slices_and_keep_their_order(void) {
    Peer *other;
    const Message *m;
    uint64_t n = 0;

    begin(CALL_IDEMPOTENT);
    other = fake_peer_connected(&broker, 'o');
    CU_ASSERT_EQUAL(serve(other, "two"), OP_OK);
    lose_in_slices(server, &((Session *)server->session)->requests);
    fake_peer_gone(&broker, server);
    while ((m = fake_next_real(other))) {
        CU_ASSERT_EQUAL(m->op, OP_CALL);
        n++;
        CU_ASSERT_EQUAL_FATAL((uint64_t)m->body.data[1] << 8 | m->body.data[2], n);
    }
    CU_ASSERT_EQUAL(n, N_CALLS);
    fake_hub_deinit(&broker);
}

/* The client is back before the calls of its old session have ended. */
static void the_name_of_an_ending_instance_is_free(void) {
    const Message *m;
    Peer *again;

    begin(0);
    CU_ASSERT_FALSE(sessions_peer_gone(&broker, server));
    again = fake_peer_connected(&broker, 's');
    CU_ASSERT_EQUAL(serve(again, "one"), OP_OK);
    call(bystander, 1, 0, "one");
    m = fake_next_real(again);
    CU_ASSERT_PTR_NOT_NULL_FATAL(m);
    CU_ASSERT_EQUAL(m->op, OP_CALL);
    fake_peer_gone(&broker, server);
    fake_say(&broker, again, &(Message){.op = OP_OK, .id = m->id, .body = span_text("\x05")});
    m = fake_next_real(bystander);
    CU_ASSERT_PTR_NOT_NULL_FATAL(m);
    CU_ASSERT_EQUAL(m->op, OP_OK);
    fake_hub_deinit(&broker);
}

static void the_broker_may_end_before_all_calls_have_ended(void) {
    begin(CALL_IDEMPOTENT | CALL_ONEWAY);
    CU_ASSERT_FALSE(sessions_peer_gone(&broker, caller));
    CU_ASSERT_FALSE(sessions_peer_gone(&broker, server));
    fake_hub_deinit(&broker);
}

static void a_session_with_few_calls_ends_at_once(void) {
    begin(0);
    call(bystander, 1, 0, "");
    CU_ASSERT_TRUE(sessions_peer_gone(&broker, bystander));
    fake_hub_deinit(&broker);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(the_calls_of_a_lost_caller_end_in_slices),
        TEST(the_calls_of_a_lost_server_fail_in_slices),
        TEST(calls_that_wait_for_a_lost_server_fail_in_slices),
        TEST(calls_that_still_wait_go_to_a_new_server),
        TEST(idempotent_calls_move_in_slices_and_keep_their_order),
        TEST(the_name_of_an_ending_instance_is_free),
        TEST(the_broker_may_end_before_all_calls_have_ended),
        TEST(a_session_with_few_calls_ends_at_once),
        TESTS_END,
    };

    return run_suite("broker/services ends", tests);
}
