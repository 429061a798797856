/* SPDX-License-Identifier: Apache-2.0 */
/* Retained values that brokers share: who gets them. */

#include "unit/broker/topics/fixture.h"

#include "broker/topics/topics-private.h"

enum { SHARD = 3 };

static void keep_for(TopicFixture *f, const char *topic, const char *body, uint64_t since_ms) {
    Message message = {.op = OP_PUBLISH, .name = span_text(topic), .body = span_text(body)};

    CU_ASSERT_EQUAL(topics_keep(f->topics, SHARD, &message, true, since_ms), 0);
}

static void keep(TopicFixture *f, const char *topic, const char *body) {
    keep_for(f, topic, body, UINT64_MAX);
}

static void give_here(TopicFixture *f, bool here) {
    topics_set_given(f->topics, here ? UINT64_C(1) << (SHARD - 1) : 0);
}

static void new_subscribers_get_values_of_shards_that_are_here(void) {
    TopicFixture f;
    Session *a;

    fixture_init(&f);
    a = connect_as(&f, 'a');
    keep(&f, "t.1", "1");
    keep(&f, "t.1", "2");
    keep(&f, "t.2", "1");
    keep(&f, "t.2", "");
    CU_ASSERT_EQUAL(f.topics->n_retained, 1);
    subscribe(&f, a, 1, "t.*");
    CU_ASSERT_TRUE(gets_ok(a, 1, 0));
    give_here(&f, true);
    subscribe(&f, a, 2, "t.*");
    CU_ASSERT_TRUE(gets(a, 2, 1, "t.1", "2"));
    CU_ASSERT_TRUE(gets_ok(a, 2, 1));
    topics_forget(f.topics, SHARD + 1);
    CU_ASSERT_EQUAL(f.topics->n_retained, 1);
    topics_forget(f.topics, SHARD);
    CU_ASSERT_EQUAL(f.topics->n_retained, 0);
    subscribe(&f, a, 3, "t.*");
    CU_ASSERT_TRUE(gets_ok(a, 3, 0));
    fixture_deinit(&f);
}

static void values_are_kept_beyond_the_total(void) {
    TopicFixture f;

    fixture_init(&f);
    f.broker.limits.max_total_bytes = 1;
    keep(&f, "t", "1");
    CU_ASSERT_EQUAL(f.topics->n_retained, 1);
    fixture_deinit(&f);
}

/* The subscription was lost at the broker, and messages were published meanwhile. */
static void a_lost_subscription_gets_values_that_came_meanwhile(void) {
    const Option *resume = OPTIONS({"resume", .number = 1}, {"seen", .number = 1});
    Message old = {.op = OP_PUBLISH, .name = span_text("t.old"), .body = span_text("x")};
    TopicFixture f;
    Session *a;

    fixture_init(&f);
    a = connect_as(&f, 'a');
    CU_ASSERT_EQUAL(topics_keep(f.topics, SHARD, &old, false, UINT64_MAX), 0);
    keep(&f, "t.before", "x");
    fake_advance(&f.broker, 60000);
    subscribe(&f, a, 1, "t.*");
    CU_ASSERT_TRUE(gets_ok(a, 1, 0));
    publish(&f, a, "t.x", "seen");
    CU_ASSERT_TRUE(gets(a, 1, 1, "t.x", "seen"));
    lose(&f, a);
    keep(&f, "t.meanwhile", "x");
    a = connect_as(&f, 'a');
    subscribe_with(&f, a, 2, "t.*", resume);
    CU_ASSERT_TRUE(gets_ok(a, 2, 1)); /* it has missed no message */
    lose(&f, a);
    a = connect_as(&f, 'b');
    publish(&f, a, "t.x", "missed");
    a = connect_as(&f, 'a');
    subscribe_with(&f, a, 3, "t.*", OPTIONS({"resume", .number = 2}, {"seen", .number = 1}));
    CU_ASSERT_TRUE(gets_gap(a, 3, 1));
    CU_ASSERT_TRUE(gets(a, 3, 3, "t.meanwhile", "x"));
    CU_ASSERT_TRUE(gets_ok(a, 3, 3));
    fixture_deinit(&f);
}

static void a_late_value_goes_to_young_subscriptions(void) {
    TopicFixture f;
    Session *a, *b, *c;
    uint64_t since_ms;

    fixture_init(&f);
    a = connect_as(&f, 'a');
    b = connect_as(&f, 'b');
    c = connect_as(&f, 'c');
    subscribe(&f, a, 1, "t");
    CU_ASSERT_TRUE(gets_ok(a, 1, 0));
    fake_advance(&f.broker, 10);
    since_ms = f.broker.now_ms;
    keep_for(&f, "t", "nobody", since_ms);
    subscribe(&f, b, 1, "t");
    CU_ASSERT_TRUE(gets_ok(b, 1, 0));
    subscribe_with(&f, c, 1, "t", OPTIONS({"group", .text = "g"}));
    CU_ASSERT_TRUE(gets_ok(c, 1, 0));
    keep_for(&f, "t", "x", since_ms);
    CU_ASSERT_TRUE(gets(b, 1, 1, "t", "x"));
    topics_give(f.topics, SHARD, since_ms);
    CU_ASSERT_TRUE(gets(b, 1, 2, "t", "x"));
    keep_for(&f, "t", "", since_ms);
    CU_ASSERT_TRUE(gets(b, 1, 3, "t", ""));
    topics_give(f.topics, SHARD, since_ms);
    topics_give(f.topics, SHARD, since_ms + 1);
    CU_ASSERT_TRUE(gets_nothing(a));
    CU_ASSERT_TRUE(gets_nothing(b));
    CU_ASSERT_TRUE(gets_nothing(c));
    fixture_deinit(&f);
}

static void a_late_value_waits_like_other_messages(void) {
    TopicFixture f;
    Session *a;

    fixture_init(&f);
    a = connect_as(&f, 'a');
    subscribe_with(&f, a, 1, "t", OPTIONS({"backlog", .number = 500}));
    CU_ASSERT_TRUE(gets_ok(a, 1, 0));
    block(a);
    for (int i = 0; i < 100; i++)
        keep_for(&f, "t", "late", 0);
    publish(&f, a, "t", "dropped");
    CU_ASSERT_TRUE(gets_nothing(a));
    unblock(a);
    topics_turn_end(f.topics);
    CU_ASSERT_TRUE(gets(a, 1, 1, "t", "late"));
    CU_ASSERT_TRUE(gets(a, 1, 2, "t", "late"));
    while (fake_n_sent(a) > 1)
        fake_take(a);
    CU_ASSERT_TRUE(f.broker.stats.dropped > 90);
    CU_ASSERT_TRUE(gets_gap(a, 1, f.broker.stats.dropped));
    fixture_deinit(&f);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(new_subscribers_get_values_of_shards_that_are_here),
        TEST(values_are_kept_beyond_the_total),
        TEST(a_lost_subscription_gets_values_that_came_meanwhile),
        TEST(a_late_value_goes_to_young_subscriptions),
        TEST(a_late_value_waits_like_other_messages),
        TESTS_END,
    };

    return run_suite("broker retained values that brokers share", tests);
}
