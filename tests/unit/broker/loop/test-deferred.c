/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/loop/deferred.h"
#include "broker/loop/dispatch.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "support/fake-hub.h"
#include "support/suite.h"

enum { SUBSCRIPTIONS = 100 };

static Broker broker;
static Peer *crowd, *sender, *other;

static bool batches_are_deferred(void) {
    return deferred_last(broker.deferred) != NULL;
}

/* Each publish to "t" means a hundred deliveries. */
static void begin(void) {
    log_level = LOG_LEVEL_ERROR;
    fake_hub_init(&broker);
    crowd = fake_peer_connected(&broker, 'c');
    sender = fake_peer_connected(&broker, 's');
    other = fake_peer_connected(&broker, 'o');
    for (uint64_t i = 1; i <= SUBSCRIPTIONS; i++)
        fake_say(&broker, crowd, &(Message){.op = OP_SUBSCRIBE, .id = i, .name = span_text("t")});
}

/* Sends a batch of n publishes, with ids from first_id on. Returns its length. */
static size_t send_publishes(uint64_t first_id, unsigned n) {
    uint8_t *bytes = malloc(WIRE_BATCH_MAX), *at = bytes + WIRE_HEAD;
    size_t len;

    bytes[0] = WIRE_MAGIC;
    bytes[1] = WIRE_PROTOCOL;
    for (unsigned i = 0; i < n; i++)
        at = message_write(
            at, &(Message){.op = OP_PUBLISH, .id = first_id + i, .name = span_text("t")});
    len = (size_t)(at - bytes);
    fake_receive(&broker, sender, bytes, len);
    free(bytes);
    return len;
}

static void a_turn(void) {
    fake_wait(&broker, 0);
}

/* The number of OKs that have come. They must be in order from *next_id on. */
static unsigned n_oks(uint64_t *next_id) {
    const Message *message;
    unsigned n = 0;

    while ((message = fake_next(sender)))
        if (message->op == OP_OK) {
            CU_ASSERT_EQUAL(message->id, *next_id);
            ++*next_id;
            n++;
        }
    return n;
}

static void a_costly_batch_takes_several_turns(void) {
    enum { N = 1000, IN_A_TURN = TURN_WORK / SUBSCRIPTIONS };
    uint64_t next_id = 1;
    int turns = 0;

    begin();
    send_publishes(1, N);
    CU_ASSERT(broker.stats.published <= 2 * IN_A_TURN + 2);
    CU_ASSERT_TRUE(batches_are_deferred());
    /* Other sessions are served at once. */
    fake_say(&broker, other, &(Message){.op = OP_PUBLISH, .id = 7, .name = span_text("u")});
    CU_ASSERT_EQUAL(fake_next_real(other)->op, OP_OK);
    for (; batches_are_deferred() && turns < 100; turns++) {
        uint64_t before = broker.stats.published;

        a_turn();
        CU_ASSERT(broker.stats.published <= before + IN_A_TURN + 1);
    }
    CU_ASSERT(turns >= N / IN_A_TURN - 4 && turns <= N / IN_A_TURN + 1);
    CU_ASSERT_EQUAL(n_oks(&next_id), N);
    fake_hub_deinit(&broker);
}

static void batches_that_follow_keep_their_order(void) {
    uint64_t next_id = 1, first_id = 1;

    begin();
    for (unsigned n = 300; n > 0; n /= 2) {
        send_publishes(first_id, n);
        first_id += n;
    }
    while (batches_are_deferred())
        a_turn();
    CU_ASSERT_EQUAL(n_oks(&next_id), first_id - 1);
    fake_hub_deinit(&broker);
}

static void session_control_overtakes_deferred_batches(void) {
    const Message *message;
    bool answered = false;

    begin();
    send_publishes(1, 1000);
    fake_say(&broker, sender, &(Message){.op = OP_PING, .id = 99});
    CU_ASSERT_TRUE(batches_are_deferred());
    while ((message = fake_next(sender)))
        answered |= message->op == OP_PONG && message->id == 99;
    CU_ASSERT_TRUE(answered);
    fake_hub_deinit(&broker);
}

static void deferred_messages_are_handled_before_bye(void) {
    begin();
    send_publishes(1, 1000);
    fake_say(&broker, sender, &(Message){.op = OP_BYE});
    CU_ASSERT_PTR_NOT_NULL(sender->session);
    while (batches_are_deferred())
        a_turn();
    CU_ASSERT_EQUAL(broker.stats.published, 1000);
    CU_ASSERT_PTR_NULL(sender->session);
    CU_ASSERT_TRUE(sender->closing);
    fake_hub_deinit(&broker);
}

static void credit_comes_back_when_batches_are_done(void) {
    int64_t before;
    size_t len = 0;

    begin();
    before = sender->in.granted;
    len += send_publishes(1, 20000);
    len += send_publishes(1, 20000);
    CU_ASSERT_EQUAL(sender->in.granted, before - (int64_t)len);
    CU_ASSERT_TRUE(sender->has_more);
    while (batches_are_deferred())
        a_turn();
    CU_ASSERT_FALSE(sender->has_more);
    CU_ASSERT(sender->in.granted > before - WIRE_CREDIT / 4);
    fake_hub_deinit(&broker);
}

static void a_peer_that_sends_on_without_credit_is_cut(void) {
    const Message *message;
    unsigned op = 0;
    int n = 0;

    begin();
    for (; !sender->closing && n < 100; n++)
        send_publishes(0, 20000);
    CU_ASSERT(n > 4 && n < 20);
    while ((message = fake_next(sender)))
        op = message->op;
    CU_ASSERT_EQUAL(op, OP_FAULT);
    CU_ASSERT_FALSE(batches_are_deferred());
    fake_hub_deinit(&broker);
}

static void small_batches_do_not_cost_much_more_than_their_bytes(void) {
    static const uint8_t publish[] = {WIRE_MAGIC, WIRE_PROTOCOL, 0x97, OP_PUBLISH, 0,   0,
                                      0,          0xA1,          't',  0xC0,       0xC0};
    uint64_t before;
    int turns = 0;

    begin();
    send_publishes(0, 1000);
    before = broker.stats.published;
    for (int i = 0; i < 1000; i++)
        fake_receive(&broker, sender, publish, sizeof(publish));
    CU_ASSERT_EQUAL(sender->closing, false);
    for (; batches_are_deferred() && turns < 100; turns++)
        a_turn();
    CU_ASSERT(broker.stats.published > before);
    CU_ASSERT_EQUAL(broker.stats.published, 2000);
    fake_hub_deinit(&broker);
}

static void deferred_batches_are_freed_with_their_session(void) {
    begin();
    send_publishes(1, 1000);
    fake_peer_gone(&broker, sender);
    CU_ASSERT_FALSE(batches_are_deferred());
    CU_ASSERT(broker.stats.published < 1000);
    fake_hub_deinit(&broker);
}

static void sessions_with_deferred_batches_take_turns(void) {
    Peer *first;

    begin();
    first = sender;
    send_publishes(1, 5000);
    sender = fake_peer_connected(&broker, 't');
    send_publishes(1, 1000);
    while (first->has_more && sender->has_more)
        a_turn();
    CU_ASSERT_TRUE(first->has_more);
    CU_ASSERT(broker.stats.published < 3000);
    fake_hub_deinit(&broker);
}

/* Sends one message, without the turn that follows it. */
static void say_only(Peer *peer, const Message *message) {
    uint8_t bytes[512] = {WIRE_MAGIC, WIRE_PROTOCOL};
    uint8_t *end = message_write(bytes + WIRE_HEAD, message);

    dispatch_batch(&broker, peer, bytes, (size_t)(end - bytes));
}

static void costly_messages_wait_for_the_share_of_deferred_batches(void) {
    static const Message wild = {.op = OP_SUBSCRIBE, .id = 8, .name = {(const uint8_t *)">", 1}};
    Message call = {.op = OP_CALL,
                    .id = 9,
                    .name = span_text("ferry.Broker"),
                    .call.method = span_text("stats")};
    uint64_t n_in;
    char topic[32];

    begin();
    /* With few topics no message is costly. */
    say_only(other, &wild);
    say_only(other, &call);
    CU_ASSERT_EQUAL(fake_next_real(other)->id, 9);
    CU_ASSERT_EQUAL(fake_next_real(other)->id, 8);
    fake_say(&broker, other, &(Message){.op = OP_UNSUBSCRIBE, .id = 10, .unsubscribe.sub = 8});
    CU_ASSERT_EQUAL(fake_next_real(other)->id, 10);
    for (int i = 0; i < 2000; i++) {
        snprintf(topic, sizeof(topic), "topic.%d", i);
        fake_say(&broker, sender, &(Message){.op = OP_PUBLISH, .name = span_text(topic)});
    }
    n_in = ((Session *)other->session)->n_in;
    say_only(other, &wild);
    say_only(other, &call);
    CU_ASSERT_PTR_NULL(fake_next_real(other));
    CU_ASSERT_TRUE(batches_are_deferred());
    /* A subscription to a plain name is not costly. */
    say_only(sender, &(Message){.op = OP_SUBSCRIBE, .id = 5, .name = span_text("u")});
    CU_ASSERT_EQUAL(fake_next_real(sender)->id, 5);
    a_turn();
    a_turn();
    CU_ASSERT_EQUAL(fake_next_real(other)->id, 9); /* answers to calls come first */
    CU_ASSERT_EQUAL(fake_next_real(other)->id, 8);
    CU_ASSERT_EQUAL(((Session *)other->session)->n_in, n_in + 2);
    CU_ASSERT_FALSE(batches_are_deferred());
    fake_hub_deinit(&broker);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(a_costly_batch_takes_several_turns),
        TEST(batches_that_follow_keep_their_order),
        TEST(session_control_overtakes_deferred_batches),
        TEST(deferred_messages_are_handled_before_bye),
        TEST(credit_comes_back_when_batches_are_done),
        TEST(a_peer_that_sends_on_without_credit_is_cut),
        TEST(small_batches_do_not_cost_much_more_than_their_bytes),
        TEST(deferred_batches_are_freed_with_their_session),
        TEST(sessions_with_deferred_batches_take_turns),
        TEST(costly_messages_wait_for_the_share_of_deferred_batches),
        TESTS_END,
    };

    return run_suite("broker batches that wait", tests);
}
