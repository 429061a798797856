/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that a peer uses is charged to the budget, and given back when its cause ends. */

#include "rpc/schema/description/description.h"
#include "support/fake-hub.h"
#include "support/suite.h"

static Broker broker;
static Peer *peer;

static uint64_t charged(BudgetKind kind) {
    return broker.budget.bytes[kind];
}

static void begin(void) {
    fake_hub_init(&broker);
    peer = fake_peer_new(&broker);
    fake_hello(&broker, peer, 'a');
}

static void expect_ok(uint64_t id) {
    const Message *message = fake_next_real(peer);

    CU_ASSERT_FATAL(message && message->op == OP_OK);
    CU_ASSERT_EQUAL(message->id, id);
}

static void a_client_is_charged_until_it_is_forgotten(void) {
    uint64_t before, with_session;

    fake_hub_init(&broker);
    before = charged(BUDGET_CONNECTIONS);
    peer = fake_peer_new(&broker);
    fake_hello(&broker, peer, 'a');
    with_session = charged(BUDGET_CONNECTIONS);
    CU_ASSERT(with_session >= before + sizeof(Session) + sizeof(Client));
    fake_peer_gone(&broker, peer);
    CU_ASSERT(charged(BUDGET_CONNECTIONS) >= before + sizeof(Client));
    CU_ASSERT(charged(BUDGET_CONNECTIONS) < with_session);
    fake_wait(&broker, broker.limits.client_memory_ms + 1000);
    CU_ASSERT_EQUAL(charged(BUDGET_CONNECTIONS), before);
    fake_hub_deinit(&broker);
}

static void calls_are_charged_until_they_end(void) {
    enum { CALLS = 100, CALL_MIN = 36 * sizeof(void *) };
    uint64_t before;

    begin();
    fake_say(&broker, peer,
             &(Message){.op = OP_SERVE, .id = 1, .name = span_text("s"), .serve.slots = 1});
    expect_ok(1);
    before = charged(BUDGET_CALLS);
    for (uint64_t id = 2; id < 2 + CALLS; id++)
        fake_say(
            &broker, peer,
            &(Message){
                .op = OP_CALL, .id = id, .name = span_text("s"), .call.method = span_text("m")});
    CU_ASSERT(charged(BUDGET_CALLS) >= before + (uint64_t)CALLS * CALL_MIN);
    fake_peer_gone(&broker, peer);
    CU_ASSERT_EQUAL(charged(BUDGET_CALLS), before);
    CU_ASSERT_EQUAL(charged(BUDGET_SERVICES), 0);
    fake_hub_deinit(&broker);
}

static unsigned n_refused(Peer *caller, uint64_t n_calls) {
    const Message *message;
    unsigned n = 0;

    for (uint64_t id = 1; id <= n_calls; id++)
        fake_say(
            &broker, caller,
            &(Message){
                .op = OP_CALL, .id = id, .name = span_text("s"), .call.method = span_text("m")});
    while ((message = fake_next_real(caller)))
        n +=
            message->op == OP_ERROR && strcmp(fake_error(message, "type"), "ferry.Overloaded") == 0;
    return n;
}

static void calls_of_one_caller_leave_room_for_others(void) {
    Peer *many, *few;

    begin();
    fake_say(&broker, peer,
             &(Message){.op = OP_SERVE, .id = 1, .name = span_text("s"), .serve.slots = 60000});
    expect_ok(1);
    many = fake_peer_new(&broker);
    fake_hello(&broker, many, 'b');
    few = fake_peer_new(&broker);
    fake_hello(&broker, few, 'c');
    broker.budget.max = budget_used(&broker.budget) + 200000;
    CU_ASSERT(n_refused(many, 2000) > 1000);
    CU_ASSERT_EQUAL(n_refused(few, 10), 0);
    fake_hub_deinit(&broker);
}

/* The decoded tables take several times the bytes of the description. */
/* The input of other peers takes all free memory but a part of the reserve. */
static void a_caller_that_holds_little_is_served_from_the_reserve(void) {
    Account *account;
    uint64_t input;

    begin();
    fake_say(&broker, peer,
             &(Message){.op = OP_SERVE, .id = 1, .name = span_text("s"), .serve.slots = 10});
    expect_ok(1);
    account = &fake_peer_connected(&broker, 'b')->account;
    broker.budget.max = 64 << 20;
    input = budget_free(&broker.budget) - broker.budget.max / BUDGET_RESERVE / 2;
    broker.budget.bytes[BUDGET_INPUT] += input;
    CU_ASSERT_TRUE(account_allows(account, BUDGET_LITTLE));
    CU_ASSERT_TRUE(account_allows_output(account, BUDGET_LITTLE));
    CU_ASSERT_FALSE(account_allows(account, BUDGET_LITTLE + 1));
    CU_ASSERT_FALSE(budget_allows(&broker.budget, 1));
    account_charge(account, BUDGET_CALLS, BUDGET_LITTLE);
    CU_ASSERT_FALSE(account_allows(account, 1));
    CU_ASSERT_FALSE(account_is_used_up(account));
    account_charge(account, BUDGET_CALLS, 1);
    CU_ASSERT_TRUE(account_is_used_up(account));
    account_refund(account, BUDGET_CALLS, BUDGET_LITTLE + 1);
    broker.budget.bytes[BUDGET_INPUT] -= input;
    fake_hub_deinit(&broker);
}

static void the_tables_of_a_description_are_charged(void) {
    static const char description[] = "\x83\xa1v\x01\xa7service\xa1"
                                      "s\xa7methods\x90";
    uint64_t before;

    begin();
    fake_say(&broker, peer, &(Message){.op = OP_SERVE, .id = 1, .name = span_text("s")});
    expect_ok(1);
    before = charged(BUDGET_SERVICES);
    fake_say(&broker, peer,
             &(Message){
                 .op = OP_SERVE, .id = 2, .name = span_text("s"), .body = span_text(description)});
    expect_ok(2);
    CU_ASSERT(charged(BUDGET_SERVICES) >= before + sizeof(description) - 1 + sizeof(ferry_service));
    fake_say(&broker, peer, &(Message){.op = OP_SERVE, .id = 3, .name = span_text("s")});
    expect_ok(3);
    CU_ASSERT_EQUAL(charged(BUDGET_SERVICES), before);
    fake_hub_deinit(&broker);
}

static void topics_and_queues_are_charged(void) {
    enum { NAME = 200 };
    char name[NAME + 1];
    uint64_t topics, queues, most;

    begin();
    memset(name, 'n', NAME);
    name[NAME] = '\0';
    topics = charged(BUDGET_TOPICS);
    queues = charged(BUDGET_QUEUES);
    fake_say(&broker, peer, &(Message){.op = OP_PUBLISH, .id = 1, .name = span_text(name)});
    expect_ok(1);
    CU_ASSERT(charged(BUDGET_TOPICS) >= topics + 2 * NAME);
    fake_say(&broker, peer, &(Message){.op = OP_PULL, .id = 2, .name = span_text(name)});
    expect_ok(2);
    most = charged(BUDGET_QUEUES);
    CU_ASSERT(most >= queues + NAME + 300);
    fake_peer_gone(&broker, peer);
    fake_wait(&broker, broker.limits.client_memory_ms + 1000);
    fake_wait(&broker, 100000);
    /* The slab of the pull is kept. */
    CU_ASSERT(charged(BUDGET_QUEUES) <= most - NAME - 300);
    fake_hub_deinit(&broker);
}

static void a_full_broker_refuses_newcomers(void) {
    const Message *fault;
    Peer *late;

    begin();
    broker.budget.max = budget_used(&broker.budget) + 1000;
    late = fake_peer_new(&broker);
    fake_hello(&broker, late, 'b');
    fault = fake_next_real(late);
    CU_ASSERT_FATAL(fault && fault->op == OP_FAULT);
    CU_ASSERT_PTR_NULL(late->session);
    fake_hub_deinit(&broker);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(a_client_is_charged_until_it_is_forgotten),
        TEST(calls_are_charged_until_they_end),
        TEST(calls_of_one_caller_leave_room_for_others),
        TEST(a_caller_that_holds_little_is_served_from_the_reserve),
        TEST(the_tables_of_a_description_are_charged),
        TEST(topics_and_queues_are_charged),
        TEST(a_full_broker_refuses_newcomers),
        TESTS_END,
    };

    return run_suite("broker accounts", tests);
}
