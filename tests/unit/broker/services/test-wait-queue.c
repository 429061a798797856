/* SPDX-License-Identifier: Apache-2.0 */
/* Calls that wait for a server, and calls that a server gives back. */
#include "service-scene.h"

static void the_wait_queue_is_bounded(void) {
    begin();
    broker.limits.max_waiting_calls = 3;
    for (uint64_t id = 1; id <= AHEAD + 4; id++)
        call(id, 0);
    expect_error(caller, AHEAD + 4, "ferry.Overloaded");
    broker.limits.max_calls = AHEAD + 3;
    call(100, 0);
    expect_error(caller, 100, "ferry.Overloaded");
    fake_hub_deinit(&broker);
}

static void callers_take_turns(void) {
    Peer *other;

    begin();
    other = fake_peer_connected(&broker, 'd');
    for (uint64_t id = 1; id <= AHEAD + 3; id++)
        call(id, 0);
    call_from(other, 7);
    call_from(other, 8);
    for (uint64_t id = 1; id <= AHEAD; id++)
        expect_call_of(caller, id);
    expect_call_of(caller, AHEAD + 1);
    expect_call_of(other, 7);
    expect_call_of(caller, AHEAD + 2);
    expect_call_of(other, 8);
    expect_call_of(caller, AHEAD + 3);
    CU_ASSERT_EQUAL(services_n_calls(broker.services), 0);
    fake_hub_deinit(&broker);
}

static void the_caller_with_most_waiting_calls_gives_way(void) {
    Peer *other, *third;

    begin();
    broker.limits.max_waiting_calls = 6;
    other = fake_peer_connected(&broker, 'd');
    third = fake_peer_connected(&broker, 'e');
    for (uint64_t id = 1; id <= AHEAD + 6; id++)
        call(id, 0);
    /* The newest call fails, but only while its caller has more calls than the other caller. */
    for (uint64_t id = 1; id <= 3; id++) {
        call_from(other, id);
        expect_error(caller, AHEAD + 7 - id, "ferry.Overloaded");
    }
    call_from(other, 4);
    expect_error(other, 4, "ferry.Overloaded");
    call_from(third, 1);
    call_from(third, 2);
    CU_ASSERT_PTR_NULL(fake_next_real(third));
    call_from(third, 3);
    expect_error(third, 3, "ferry.Overloaded");
    /* Calls without an id count for their caller, too. */
    call(0, 0);
    CU_ASSERT_EQUAL(services_n_calls(broker.services), AHEAD + 6);
    fake_hub_deinit(&broker);
}

static void calls_without_an_id_wait_after_their_caller_is_gone(void) {
    begin();
    for (uint64_t id = 1; id <= AHEAD; id++)
        call(id, 0);
    call(0, 0);
    call(100, 0);
    fake_peer_gone(&broker, caller);
    for (uint64_t id = 1; id <= AHEAD; id++) {
        uint64_t request = expect(server, OP_CALL);

        answer(server, request);
    }
    for (uint64_t id = 1; id <= AHEAD; id++)
        expect(server, OP_CANCEL);
    answer(server, expect(server, OP_CALL));
    CU_ASSERT_PTR_NULL(fake_next_real(server));
    CU_ASSERT_EQUAL(services_n_calls(broker.services), 0);
    fake_hub_deinit(&broker);
}

static void give_back(Peer *peer, uint64_t id) {
    fake_say(&broker, peer, &(Message){.op = OP_RETURN, .id = id});
}

/* Checks that the next message to a peer is a call with this body; returns its id. */
static uint64_t expect_call_with(Peer *peer, const char *body) {
    const Message *m = fake_next_real(peer);

    CU_ASSERT_PTR_NOT_NULL_FATAL(m);
    CU_ASSERT_EQUAL(m->op, OP_CALL);
    CU_ASSERT_TRUE(span_is(message_body(m), body));
    return m->id;
}

static void returned_calls_go_to_other_servers_in_their_order(void) {
    static const char *const bodies[] = {"a", "b", "c", "d", "e", "f", "g", "h"};
    uint64_t ids[8] = {0}, n_ahead = 0;
    const Message *next;
    Peer *second;

    begin();
    for (uint64_t i = 0; i < 8; i++) {
        Message m = call_of(i + 1, 0);

        m.body = span_text(bodies[i]);
        fake_say(&broker, caller, &m);
    }
    answer(server, expect_call_with(server, "a"));
    CU_ASSERT_EQUAL(expect(caller, OP_OK), 1);
    while ((next = fake_next_real(server)))
        ids[n_ahead++] = next->id;
    CU_ASSERT_EQUAL_FATAL(n_ahead, 5); /* one call for its slot, and AHEAD_FIRST ahead */
    /* The server has begun only "b". */
    for (uint64_t i = 1; i < n_ahead; i++)
        give_back(server, ids[i]);
    CU_ASSERT_PTR_NULL(fake_next_real(server));
    second = fake_peer_connected(&broker, 't');
    serve(second, "two", 3);
    expect_call_with(second, "c");
    expect_call_with(second, "d");
    expect_call_with(second, "e");
    CU_ASSERT_PTR_NULL(fake_next_real(second));
    /* It gets no calls ahead again, even if it is quick. */
    fake_peer_gone(&broker, second);
    for (int i = 0; i < 3; i++)
        expect(caller, OP_ERROR);
    answer(server, ids[0]);
    expect_call_with(server, "f");
    CU_ASSERT_PTR_NULL(fake_next_real(server));
    fake_hub_deinit(&broker);
}

static void a_returned_call_without_a_caller_frees_its_slot(void) {
    uint64_t ids[8] = {0}, n = 0;
    const Message *next;

    begin();
    for (uint64_t id = 1; id <= 6; id++)
        call(id, 0);
    answer(server, expect(server, OP_CALL));
    while ((next = fake_next_real(server)))
        ids[n++] = next->id;
    CU_ASSERT_EQUAL_FATAL(n, 5);
    CU_ASSERT_EQUAL(expect(caller, OP_OK), 1);
    /* The caller cancels the last call before the server has returned it. */
    fake_say(&broker, caller, &(Message){.op = OP_CANCEL, .id = 6});
    expect_error(caller, 6, "ferry.Cancelled");
    give_back(server, ids[4]);
    give_back(server, ids[4]); /* returned twice: the second RETURN is dropped */
    for (uint64_t i = 0; i < 4; i++)
        answer(server, ids[i]);
    for (uint64_t id = 2; id <= 5; id++)
        CU_ASSERT_EQUAL(expect(caller, OP_OK), id);
    CU_ASSERT_EQUAL(services_n_calls(broker.services), 0);
    /* A call without a copy cannot go to another server. */
    call(7, 0);
    expect(server, OP_CANCEL);
    give_back(server, expect(server, OP_CALL));
    expect_error(caller, 7, "ferry.Overloaded");
    call(8, 0);
    expect(server, OP_CALL);
    fake_hub_deinit(&broker);
}

static void calls_may_wait_for_a_server(void) {
    begin();
    broker.started_ms = broker.now_ms;
    fake_wait(&broker, 6000);
    fake_peer_gone(&broker, server);
    call(1, 0);
    expect_error(caller, 1, "ferry.NoSuchService");
    call(2, CALL_IDEMPOTENT); /* the service had a server a moment ago */
    call(3, CALL_WAIT);
    CU_ASSERT_PTR_NULL(fake_next_real(caller));
    server = fake_peer_connected(&broker, 's');
    serve(server, "one", 2);
    CU_ASSERT_EQUAL(n_calls_at(server), 2);
    fake_hub_deinit(&broker);
}

static void a_broker_that_just_started_holds_idempotent_calls(void) {
    Message m;

    begin();
    broker.started_ms = broker.now_ms;
    m = call_of(1, CALL_IDEMPOTENT);
    m.name = span_text("other.Service");
    m.call.timeout_ms = 60000;
    fake_say(&broker, caller, &m);
    CU_ASSERT_PTR_NULL(fake_next_real(caller));
    fake_wait(&broker, 5000);
    expect_error(caller, 1, "ferry.NoSuchService");
    m.id = 2;
    fake_say(&broker, caller, &m);
    expect_error(caller, 2, "ferry.NoSuchService");
    CU_ASSERT_EQUAL(services_n_calls(broker.services), 0);
    fake_wait(&broker, 1);
    CU_ASSERT_EQUAL(services_count(broker.services), 1);
    fake_hub_deinit(&broker);
}

/* AddressSanitizer reports a call that is not freed. */
static void oneway_calls_that_wait_end_with_the_broker(void) {
    begin();
    fake_peer_gone(&broker, server);
    call(7, CALL_ONEWAY | CALL_WAIT);
    call(8, CALL_ONEWAY | CALL_WAIT);
    fake_peer_gone(&broker, caller);
    fake_hub_deinit(&broker);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(returned_calls_go_to_other_servers_in_their_order),
        TEST(a_returned_call_without_a_caller_frees_its_slot),
        TEST(calls_may_wait_for_a_server),
        TEST(a_broker_that_just_started_holds_idempotent_calls),
        TEST(oneway_calls_that_wait_end_with_the_broker),
        TEST(the_wait_queue_is_bounded),
        TEST(callers_take_turns),
        TEST(the_caller_with_most_waiting_calls_gives_way),
        TEST(calls_without_an_id_wait_after_their_caller_is_gone),
        TESTS_END,
    };

    return run_suite("broker wait queue", tests);
}
