/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/broker/topics/fixture.h"

#include "broker/topics/topics-private.h"

/* The bytes that are counted for one message of the tests (topic "t", one digit). */
static size_t message_cost(void) {
    return sizeof(SharedMessage) + sizeof(Waiting) + 6;
}

static void start(TopicFixture *f, Session **a, const char *overflow, unsigned messages) {
    fixture_init(f);
    *a = connect_as(f, 'a');
    subscribe_with(
        f, *a, 1, "t",
        OPTIONS({"overflow", overflow, 0}, {"backlog", NULL, messages * message_cost()}));
    CU_ASSERT_TRUE(gets_ok(*a, 1, 0));
    block(*a);
}

static void publish_digits(TopicFixture *f, Session *session, int from, int to) {
    for (int i = from; i <= to; i++) {
        char body[2] = {(char)('0' + i), '\0'};

        publish(f, session, "t", body);
    }
}

static void messages_without_credit_wait_and_come_in_order(void) {
    TopicFixture f;
    Session *a;

    start(&f, &a, "drop-newest", 100);
    publish_digits(&f, a, 1, 3);
    topics_turn_end(f.topics);
    CU_ASSERT_TRUE(gets_nothing(a));
    unblock(a);
    publish_digits(&f, a, 4, 4); /* it must not overtake the waiting messages */
    CU_ASSERT_TRUE(gets_nothing(a));
    topics_turn_end(f.topics);
    for (int i = 1; i <= 4; i++)
        CU_ASSERT_TRUE(gets(a, 1, (uint64_t)i, "t", (char[]){(char)('0' + i), 0}));
    publish_digits(&f, a, 5, 5);
    CU_ASSERT_TRUE(gets(a, 1, 5, "t", "5"));
    topics_turn_end(f.topics);
    CU_ASSERT_TRUE(gets_nothing(a));
    CU_ASSERT_EQUAL(f.broker.stats.dropped, 0);
    fixture_deinit(&f);
}

static void drop_newest_keeps_the_first_messages_and_counts_the_others(void) {
    TopicFixture f;
    Session *a;

    start(&f, &a, "drop-newest", 3);
    publish_digits(&f, a, 1, 9);
    CU_ASSERT_EQUAL(a->n_dropped, 6);
    CU_ASSERT_EQUAL(f.broker.stats.dropped, 6);
    unblock(a);
    topics_turn_end(f.topics);
    CU_ASSERT_TRUE(gets(a, 1, 1, "t", "1"));
    CU_ASSERT_TRUE(gets(a, 1, 2, "t", "2"));
    CU_ASSERT_TRUE(gets(a, 1, 3, "t", "3"));
    CU_ASSERT_TRUE(gets_gap(a, 1, 6));
    topics_turn_end(f.topics);
    CU_ASSERT_TRUE(gets_nothing(a));
    publish(&f, a, "t", "x");
    CU_ASSERT_TRUE(gets(a, 1, 10, "t", "x"));
    fixture_deinit(&f);
}

static void a_message_after_a_loss_shows_it_by_its_number(void) {
    TopicFixture f;
    Session *a;

    start(&f, &a, "drop-newest", 0);
    publish_digits(&f, a, 1, 5);
    unblock(a);
    publish_digits(&f, a, 6, 6);
    topics_turn_end(f.topics);
    CU_ASSERT_TRUE(gets(a, 1, 6, "t", "6"));
    CU_ASSERT_TRUE(gets_nothing(a));
    CU_ASSERT_EQUAL(a->n_dropped, 5);
    fixture_deinit(&f);
}

static void drop_oldest_keeps_the_last(void) {
    TopicFixture f;
    Session *a;

    start(&f, &a, "drop-oldest", 3);
    publish_digits(&f, a, 1, 9);
    CU_ASSERT_EQUAL(a->n_dropped, 6);
    unblock(a);
    topics_turn_end(f.topics);
    CU_ASSERT_TRUE(gets(a, 1, 7, "t", "7"));
    CU_ASSERT_TRUE(gets(a, 1, 8, "t", "8"));
    CU_ASSERT_TRUE(gets(a, 1, 9, "t", "9"));
    CU_ASSERT_TRUE(gets_nothing(a));
    fixture_deinit(&f);
}

static void a_message_larger_than_the_backlog_drops_no_other_message(void) {
    TopicFixture f;
    Session *a;
    char large[4000];

    start(&f, &a, "drop-oldest", 3);
    memset(large, 'x', sizeof(large) - 1);
    large[sizeof(large) - 1] = '\0';
    publish_digits(&f, a, 1, 2);
    publish(&f, a, "t", large);
    unblock(a);
    topics_turn_end(f.topics);
    CU_ASSERT_TRUE(gets(a, 1, 1, "t", "1"));
    CU_ASSERT_TRUE(gets(a, 1, 2, "t", "2"));
    CU_ASSERT_TRUE(gets_gap(a, 1, 1));
    fixture_deinit(&f);
}

static void disconnect_ends_the_session(void) {
    TopicFixture f;
    Session *a;
    const FakeSent *sent;

    start(&f, &a, "disconnect", 3);
    publish_digits(&f, a, 1, 3);
    CU_ASSERT_FALSE(fake_is_ended(a));
    publish_digits(&f, a, 4, 6);
    CU_ASSERT_TRUE(fake_is_ended(a));
    sent = fake_take(a);
    CU_ASSERT_PTR_NOT_NULL_FATAL(sent);
    CU_ASSERT_EQUAL(sent->message.op, OP_BYE);
    CU_ASSERT_TRUE(same(sent->message.bye.text, "slow"));
    CU_ASSERT_TRUE(gets_nothing(a));
    fixture_deinit(&f);
}

static void a_stopped_subscriber_costs_no_more_than_its_backlog(void) {
    TopicFixture f;
    Session *a, *b;
    char body[1001];
    uint64_t before;
    const FakeSent *sent;
    uint64_t n = 0, last = 0, gap = 0;

    fixture_init(&f);
    a = connect_as(&f, 'a');
    b = connect_as(&f, 'b');
    subscribe(&f, a, 1, "t");
    subscribe(&f, b, 1, "t");
    fake_drop(a);
    before = broker_stored(&f.broker);
    memset(body, 'x', 1000);
    body[1000] = '\0';
    block(a);
    for (int i = 0; i < 20000; i++) {
        publish(&f, b, "t", body);
        fake_drop(b);
        topics_turn_end(f.topics);
    }
    /* The default backlog, and the messages kept for replay. */
    CU_ASSERT_TRUE(broker_stored(&f.broker) - before <= (4u << 20) + TOPIC_KEEP_BYTES);
    CU_ASSERT_TRUE(broker_stored(&f.broker) - before > 3u << 20);
    CU_ASSERT_TRUE(gets_nothing(a));
    /* The subscriber reads again and gets all messages. */
    unblock(a);
    topics_turn_end(f.topics);
    while ((sent = fake_take(a))) {
        if (sent->message.op == OP_GAP) {
            gap = sent->message.gap.count;
        } else {
            CU_ASSERT_EQUAL(sent->message.message.seq, last + 1);
            last = sent->message.message.seq;
            n++;
        }
    }
    CU_ASSERT_EQUAL(n + gap, 20000);
    CU_ASSERT_TRUE(gap > 0);
    CU_ASSERT_TRUE(broker_stored(&f.broker) - before <= TOPIC_KEEP_BYTES + 4096);
    fixture_deinit(&f);
}

static void stopped_subscribers_share_waiting_messages(void) {
    enum { N = 100 };
    TopicFixture f;
    Session *slow[N], *b;
    char body[1001];
    uint64_t before;

    fixture_init(&f);
    b = connect_as(&f, 'b');
    memset(body, 'x', 1000);
    body[1000] = '\0';
    for (int i = 0; i < N; i++) {
        slow[i] = connect_as(&f, (uint8_t)(100 + i));
        subscribe(&f, slow[i], 1, "t");
        block(slow[i]);
    }
    before = broker_stored(&f.broker);
    for (int i = 0; i < 1000; i++)
        publish(&f, b, "t", body);
    CU_ASSERT_TRUE(broker_stored(&f.broker) - before < 1200 * 1000 + N * 1024 * sizeof(Waiting));
    for (int i = 0; i < N; i++)
        unblock(slow[i]);
    topics_turn_end(f.topics);
    for (int i = 0; i < N; i++)
        CU_ASSERT_EQUAL(fake_n_sent(slow[i]), 1001);
    fixture_deinit(&f);
}

static void the_total_bounds_all_backlogs_together(void) {
    TopicFixture f;
    Session *a;

    start(&f, &a, "drop-newest", 1000000);
    publish(&f, a, "t", "1"); /* now the broker knows the topic */
    f.broker.limits.max_total_bytes = broker_stored(&f.broker) + 10 * message_cost();
    for (int i = 0; i < 100; i++)
        publish(&f, a, "t", "1");
    CU_ASSERT_TRUE(a->n_dropped > 80);
    CU_ASSERT_TRUE(broker_stored(&f.broker) <= f.broker.limits.max_total_bytes + 64);
    unblock(a);
    topics_turn_end(f.topics);
    CU_ASSERT_TRUE(fake_n_sent(a) > 1);
    fixture_deinit(&f);
}

static void a_session_with_many_subscriptions_has_one_bound(void) {
    enum { SUBSCRIPTIONS = 1000 };
    TopicFixture f;
    Session *a;

    fixture_init(&f);
    a = connect_as(&f, 'a');
    for (uint64_t i = 1; i <= SUBSCRIPTIONS; i++)
        subscribe(&f, a, i, "t");
    fake_drop(a);
    block(a);
    for (int i = 0; i < 300; i++)
        publish(&f, a, "t", "1");
    CU_ASSERT_EQUAL(a->n_waiting, WAITING_MAX);
    CU_ASSERT_EQUAL(a->n_dropped, 300 * SUBSCRIPTIONS - WAITING_MAX);
    unsubscribe(&f, a, 2000, 1);
    CU_ASSERT(a->n_waiting < WAITING_MAX);
    unblock(a);
    topics_turn_end(f.topics);
    CU_ASSERT_EQUAL(a->n_waiting, 0);
    fixture_deinit(&f);
}

static void more_backlog_than_the_limit_is_not_granted(void) {
    TopicFixture f;
    Session *a;

    fixture_init(&f);
    f.broker.limits.max_subscriber_bytes = 2 * message_cost();
    a = connect_as(&f, 'a');
    subscribe_with(&f, a, 1, "t", OPTIONS({"backlog", NULL, UINT64_MAX}));
    block(a);
    publish_digits(&f, a, 1, 5);
    CU_ASSERT_EQUAL(a->n_dropped, 3);
    fixture_deinit(&f);
}

static void credit_beyond_the_maximum_is_not_used(void) {
    TopicFixture f;
    Session *a;

    start(&f, &a, "drop-newest", 2);
    a->peer->out.credit = INT64_MAX / 2;
    fake_set_waiting(a, WIRE_CREDIT - 1);
    publish_digits(&f, a, 1, 1);
    CU_ASSERT_TRUE(gets(a, 1, 1, "t", "1"));
    fake_set_waiting(a, WIRE_CREDIT);
    publish_digits(&f, a, 2, 5);
    CU_ASSERT_TRUE(gets_nothing(a));
    CU_ASSERT_EQUAL(a->n_dropped, 2);
    fixture_deinit(&f);
}

/* One message of the tests costs 1 byte and 64 bytes more. */
enum { DIGIT_CREDIT = 1 + WIRE_ITEM_COST };

static void a_subscription_without_credit_does_not_delay_others(void) {
    TopicFixture f;
    Session *a;

    fixture_init(&f);
    a = connect_as(&f, 'a');
    subscribe_with(&f, a, 1, "t",
                   OPTIONS({"credit", NULL, 2 * DIGIT_CREDIT}, {"overflow", "drop-oldest", 0},
                           {"backlog", NULL, 3 * message_cost()}));
    CU_ASSERT_TRUE(gets_ok(a, 1, 0));
    publish_digits(&f, a, 1, 7);
    topics_turn_end(f.topics);
    CU_ASSERT_TRUE(gets(a, 1, 1, "t", "1"));
    CU_ASSERT_TRUE(gets(a, 1, 2, "t", "2"));
    CU_ASSERT_TRUE(gets_nothing(a));
    CU_ASSERT_EQUAL(a->n_dropped, 2);
    /* Another subscription of the session has its own credit. */
    subscribe(&f, a, 9, "u");
    CU_ASSERT_TRUE(gets_ok(a, 9, 0));
    publish(&f, a, "u", "x");
    CU_ASSERT_TRUE(gets(a, 9, 1, "u", "x"));
    more(&f, a, 1, DIGIT_CREDIT);
    topics_turn_end(f.topics);
    CU_ASSERT_TRUE(gets(a, 1, 5, "t", "5"));
    CU_ASSERT_TRUE(gets_nothing(a));
    more(&f, a, 1, 3 * DIGIT_CREDIT);
    topics_turn_end(f.topics);
    CU_ASSERT_TRUE(gets(a, 1, 6, "t", "6"));
    CU_ASSERT_TRUE(gets(a, 1, 7, "t", "7"));
    publish_digits(&f, a, 8, 8);
    CU_ASSERT_TRUE(gets(a, 1, 8, "t", "8"));
    CU_ASSERT_FALSE(fake_is_faulted(a));
    fixture_deinit(&f);
}

static void a_dropped_message_is_reported_when_credit_comes(void) {
    TopicFixture f;
    Session *a;

    fixture_init(&f);
    a = connect_as(&f, 'a');
    subscribe_with(&f, a, 1, "t", OPTIONS({"credit", NULL, 1}, {"backlog", NULL, message_cost()}));
    CU_ASSERT_TRUE(gets_ok(a, 1, 0));
    publish_digits(&f, a, 1, 5);
    CU_ASSERT_TRUE(gets(a, 1, 1, "t", "1"));
    more(&f, a, 1, 10 * DIGIT_CREDIT);
    topics_turn_end(f.topics);
    CU_ASSERT_TRUE(gets(a, 1, 2, "t", "2"));
    CU_ASSERT_TRUE(gets_gap(a, 1, 3));
    CU_ASSERT_TRUE(gets_nothing(a));
    fixture_deinit(&f);
}

static void retained_values_do_not_wait_for_the_subscriptions_credit(void) {
    TopicFixture f;
    Session *a;

    fixture_init(&f);
    a = connect_as(&f, 'a');
    publish_retained(&f, a, "r.1", "1");
    publish_retained(&f, a, "r.2", "2");
    subscribe_with(&f, a, 1, "r.*", OPTIONS({"credit", NULL, 1}));
    CU_ASSERT_EQUAL(fake_n_sent(a), 3);
    fake_drop(a);
    publish(&f, a, "r.3", "3");
    topics_turn_end(f.topics);
    CU_ASSERT_TRUE(gets_nothing(a));
    more(&f, a, 1, 2 * DIGIT_CREDIT);
    topics_turn_end(f.topics);
    CU_ASSERT_TRUE(gets(a, 1, 3, "r.3", "3"));
    fixture_deinit(&f);
}

static void credit_of_a_subscription_has_a_limit(void) {
    TopicFixture f;
    Session *a;

    fixture_init(&f);
    a = connect_as(&f, 'a');
    subscribe_with(&f, a, 1, "t", OPTIONS({"credit", NULL, WIRE_CREDIT_MAX + 1}));
    CU_ASSERT_TRUE(gets_error(a, 1, "ferry.InvalidArgument"));
    subscribe_with(&f, a, 2, "t", OPTIONS({"credit", NULL, WIRE_CREDIT_MAX}));
    CU_ASSERT_TRUE(gets_ok(a, 2, 0));
    more(&f, a, 2, WIRE_CREDIT_MAX);
    more(&f, a, 2, UINT64_MAX); /* credit beyond 64 MiB is not used */
    CU_ASSERT_FALSE(fake_is_faulted(a));
    CU_ASSERT_EQUAL(a->client->subscriptions->credit, WIRE_CREDIT_MAX);
    fixture_deinit(&f);
}

static void a_session_feeds_its_subscriptions_in_turn(void) {
    TopicFixture f;
    Session *a, *b;
    char body[1001];
    size_t n[3] = {0};
    const FakeSent *sent;

    fixture_init(&f);
    a = connect_as(&f, 'a');
    b = connect_as(&f, 'b');
    subscribe(&f, a, 1, "t");
    subscribe(&f, a, 2, "t");
    fake_drop(a);
    block(a);
    memset(body, 'x', 1000);
    body[1000] = '\0';
    for (int i = 0; i < 200; i++)
        publish(&f, b, "t", body);
    unblock(a);
    topics_turn_end(f.topics);
    /* Of the first 130 of 400 messages, each subscription has some. */
    for (int i = 0; i < 130 && (sent = fake_take(a)); i++)
        n[sent->message.message.sub]++;
    CU_ASSERT_TRUE(n[1] > 50 && n[2] > 50);
    fixture_deinit(&f);
}

static void unsubscribing_forgets_waiting_messages(void) {
    TopicFixture f;
    Session *a;

    start(&f, &a, "drop-newest", 2);
    publish_digits(&f, a, 1, 5);
    unsubscribe(&f, a, 2, 1);
    CU_ASSERT_TRUE(gets_ok(a, 2, 0));
    unblock(a);
    topics_turn_end(f.topics);
    CU_ASSERT_TRUE(gets_nothing(a));
    fixture_deinit(&f);
}

static void a_large_body_waits_as_a_block(void) {
    TopicFixture f;
    Session *a;
    const FakeSent *sent;
    char *large = ferry_alloc(300000);

    fixture_init(&f);
    a = connect_as(&f, 'a');
    subscribe(&f, a, 1, "t");
    fake_drop(a);
    memset(large, 'y', 300000);
    topics_publish(f.topics, a,
                   &(Message){.op = OP_PUBLISH,
                              .name = span_text("t"),
                              .headers = span_of("\x81\xa1k\xa1v", 5),
                              .body = span_of(large, 300000)},
                   large);
    sent = fake_take(a);
    CU_ASSERT_PTR_NOT_NULL_FATAL(sent);
    CU_ASSERT_PTR_EQUAL(sent->block, large);
    CU_ASSERT_EQUAL(sent->message.body.len, 300000);
    block(a);
    topics_publish(f.topics, a,
                   &(Message){.op = OP_PUBLISH,
                              .name = span_text("t"),
                              .headers = span_of("\x81\xa1k\xa1v", 5),
                              .body = span_of(large, 300000)},
                   large);
    ferry_free(large);
    CU_ASSERT_TRUE(gets_nothing(a));
    unblock(a);
    topics_turn_end(f.topics);
    sent = fake_take(a);
    CU_ASSERT_PTR_NOT_NULL_FATAL(sent);
    CU_ASSERT_PTR_EQUAL(sent->block, large);
    CU_ASSERT_EQUAL(sent->message.message.seq, 2);
    CU_ASSERT_TRUE(same(sent->message.name, "t"));
    CU_ASSERT_TRUE(same(header_find(sent->message.headers, "k"), "v"));
    CU_ASSERT_EQUAL(sent->message.body.len, 300000);
    CU_ASSERT_EQUAL(sent->message.body.data[299999], 'y');
    fixture_deinit(&f);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(messages_without_credit_wait_and_come_in_order),
        TEST(drop_newest_keeps_the_first_messages_and_counts_the_others),
        TEST(a_message_after_a_loss_shows_it_by_its_number),
        TEST(drop_oldest_keeps_the_last),
        TEST(a_message_larger_than_the_backlog_drops_no_other_message),
        TEST(disconnect_ends_the_session),
        TEST(a_stopped_subscriber_costs_no_more_than_its_backlog),
        TEST(stopped_subscribers_share_waiting_messages),
        TEST(the_total_bounds_all_backlogs_together),
        TEST(a_session_with_many_subscriptions_has_one_bound),
        TEST(more_backlog_than_the_limit_is_not_granted),
        TEST(credit_beyond_the_maximum_is_not_used),
        TEST(a_subscription_without_credit_does_not_delay_others),
        TEST(a_dropped_message_is_reported_when_credit_comes),
        TEST(retained_values_do_not_wait_for_the_subscriptions_credit),
        TEST(credit_of_a_subscription_has_a_limit),
        TEST(a_session_feeds_its_subscriptions_in_turn),
        TEST(unsubscribing_forgets_waiting_messages),
        TEST(a_large_body_waits_as_a_block),
        TESTS_END,
    };

    return run_suite("broker backlogs", tests);
}
