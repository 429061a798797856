/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/broker/topics/fixture.h"

#include "broker/topics/topics-private.h"

static void later_subscribers_get_the_retained_value_before_ok(void) {
    TopicFixture f;
    Session *a, *b;

    fixture_init(&f);
    a = connect_as(&f, 'a');
    b = connect_as(&f, 'b');
    subscribe(&f, a, 1, "t");
    publish_retained(&f, b, "t", "1");
    publish_retained(&f, b, "t", "2");
    CU_ASSERT_TRUE(gets_ok(a, 1, 0));
    CU_ASSERT_TRUE(gets(a, 1, 1, "t", "1"));
    CU_ASSERT_TRUE(gets(a, 1, 2, "t", "2"));
    subscribe(&f, b, 1, "*");
    CU_ASSERT_TRUE(gets(b, 1, 1, "t", "2"));
    CU_ASSERT_TRUE(gets_ok(b, 1, 1));
    publish(&f, a, "t", "3");
    CU_ASSERT_TRUE(gets(b, 1, 2, "t", "3"));
    /* An ordinary message does not change the retained value. */
    subscribe(&f, b, 2, "t");
    CU_ASSERT_TRUE(gets(b, 2, 1, "t", "2"));
    CU_ASSERT_TRUE(gets_ok(b, 2, 1));
    fixture_deinit(&f);
}

static void an_empty_body_deletes_and_is_delivered(void) {
    TopicFixture f;
    Session *a;

    fixture_init(&f);
    a = connect_as(&f, 'a');
    publish_retained(&f, a, "t", "1");
    subscribe(&f, a, 1, "t");
    fake_drop(a);
    publish_retained(&f, a, "t", "");
    CU_ASSERT_TRUE(gets(a, 1, 2, "t", ""));
    subscribe(&f, a, 2, "t");
    CU_ASSERT_TRUE(gets_ok(a, 2, 0));
    CU_ASSERT_EQUAL(f.topics->n_retained, 0);
    /* Deleting a missing value succeeds. */
    publish_retained(&f, a, "u", "");
    fixture_deinit(&f);
}

static void a_wildcard_gets_all_matching_values(void) {
    TopicFixture f;
    Session *a;
    char topic[32];

    fixture_init(&f);
    a = connect_as(&f, 'a');
    for (int i = 0; i < 300; i++) {
        snprintf(topic, sizeof(topic), "%s.%d.temp", i % 3 ? "room" : "hall", i);
        publish_retained(&f, a, topic, "v");
    }
    subscribe(&f, a, 1, "room.*.temp");
    CU_ASSERT_EQUAL(fake_n_sent(a), 201);
    fake_drop(a);
    subscribe(&f, a, 2, "hall.>");
    CU_ASSERT_EQUAL(fake_n_sent(a), 101);
    fake_drop(a);
    subscribe(&f, a, 3, "hall.*.hum");
    CU_ASSERT_TRUE(gets_ok(a, 3, 0));
    fixture_deinit(&f);
}

static void at_most_max_names_are_retained(void) {
    TopicFixture f;
    Session *a;
    Message message = {.op = OP_PUBLISH, .id = 1, .publish.flags = PUBLISH_RETAIN};

    fixture_init(&f);
    f.broker.limits.max_names = 2;
    a = connect_as(&f, 'a');
    publish_retained(&f, a, "t.1", "v");
    publish_retained(&f, a, "t.2", "v");
    subscribe(&f, a, 7, "t.3");
    fake_drop(a);
    message.name = span_text("t.3");
    message.body = span_text("v");
    publish_message(&f, a, &message);
    CU_ASSERT_TRUE(gets_error(a, 1, "ferry.Full"));
    CU_ASSERT_TRUE(gets_nothing(a)); /* the whole message is refused */
    message.id = 0;
    publish_message(&f, a, &message);
    CU_ASSERT_TRUE(gets_nothing(a));
    CU_ASSERT_EQUAL(a->n_dropped, 1); /* without an id the refusal is counted */
    message.id = 1;
    /* An existing retained value may change. */
    message.name = span_text("t.2");
    publish_message(&f, a, &message);
    CU_ASSERT_TRUE(gets_ok(a, 1, 0));
    publish_retained(&f, a, "t.1", "");
    message.name = span_text("t.3");
    publish_message(&f, a, &message);
    CU_ASSERT_TRUE(gets(a, 7, 1, "t.3", "v"));
    CU_ASSERT_TRUE(gets_ok(a, 1, 0));
    fixture_deinit(&f);
}

static void retained_values_count_against_the_total(void) {
    TopicFixture f;
    uint64_t before;
    Session *a;
    Message message = {.op = OP_PUBLISH,
                       .id = 1,
                       .publish.flags = PUBLISH_RETAIN,
                       .name = span_text("t"),
                       .body = span_text("0123456789012345678901234567890123456789")};

    fixture_init(&f);
    a = connect_as(&f, 'a');
    publish(&f, a, "t", "x"); /* now the broker knows the topic */
    before = broker_stored(&f.broker);
    f.broker.limits.max_total_bytes = before + 60;
    publish_message(&f, a, &message);
    CU_ASSERT_TRUE(gets_error(a, 1, "ferry.Full"));
    CU_ASSERT_EQUAL(broker_stored(&f.broker), before);
    f.broker.limits.max_total_bytes = before + 1000;
    publish_message(&f, a, &message);
    CU_ASSERT_TRUE(gets_ok(a, 1, 0));
    fixture_deinit(&f);
}

static void values_beyond_the_credit_wait_and_ok_comes_last(void) {
    TopicFixture f;
    Session *a, *b;
    char topic[32];

    fixture_init(&f);
    a = connect_as(&f, 'a');
    b = connect_as(&f, 'b');
    for (int i = 0; i < 5; i++) {
        snprintf(topic, sizeof(topic), "t.%d", i);
        publish_retained(&f, b, topic, "v");
    }
    block(a);
    subscribe_with(&f, a, 1, "t.>", OPTIONS({"backlog", NULL, 0}));
    publish(&f, b, "t.x", "dropped");
    CU_ASSERT_TRUE(gets_nothing(a));
    unblock(a);
    topics_turn_end(f.topics);
    for (int i = 0; i < 5; i++) {
        snprintf(topic, sizeof(topic), "t.%d", i);
        CU_ASSERT_TRUE(gets(a, 1, (uint64_t)i + 1, topic, "v"));
    }
    CU_ASSERT_TRUE(gets_ok(a, 1, 5));
    CU_ASSERT_TRUE(gets_gap(a, 1, 1));
    fixture_deinit(&f);
}

static void waiting_values_count_against_the_total(void) {
    TopicFixture f;
    Session *a, *b;
    char topic[32];
    uint64_t id = 0;

    fixture_init(&f);
    a = connect_as(&f, 'a');
    b = connect_as(&f, 'b');
    for (int i = 0; i < 1000; i++) {
        snprintf(topic, sizeof(topic), "t.%d", i);
        publish_retained(&f, b, topic, "v");
    }
    f.broker.limits.max_total_bytes = broker_stored(&f.broker) + 200000;
    block(a);
    while (id < 100) {
        subscribe(&f, a, ++id, "t.>");
        CU_ASSERT_TRUE(broker_stored(&f.broker) <= f.broker.limits.max_total_bytes);
    }
    CU_ASSERT_TRUE(a->n_dropped > 0);
    fixture_deinit(&f);
}

static void ok_comes_even_if_initial_messages_are_dropped(void) {
    TopicFixture f;
    Session *a, *b;

    fixture_init(&f);
    a = connect_as(&f, 'a');
    b = connect_as(&f, 'b');
    publish_retained(&f, b, "t", "v");
    block(a);
    subscribe_with(&f, a, 1, "t", OPTIONS({"backlog", NULL, 60}, {"overflow", "drop-oldest", 0}));
    publish(&f, b, "t", "1");
    publish(&f, b, "t", "2");
    CU_ASSERT_TRUE(gets_ok(a, 1, 1));
    unblock(a);
    topics_turn_end(f.topics);
    CU_ASSERT_TRUE(gets(a, 1, 3, "t", "2"));
    CU_ASSERT_TRUE(gets_nothing(a));
    fixture_deinit(&f);
}

static void unsubscribing_early_answers_both(void) {
    TopicFixture f;
    Session *a;

    fixture_init(&f);
    a = connect_as(&f, 'a');
    publish_retained(&f, a, "t", "v");
    block(a);
    subscribe(&f, a, 1, "t");
    unsubscribe(&f, a, 2, 1);
    CU_ASSERT_TRUE(gets_ok(a, 1, 1));
    CU_ASSERT_TRUE(gets_ok(a, 2, 0));
    fixture_deinit(&f);
}

static void members_of_groups_get_no_retained_values(void) {
    TopicFixture f;
    Session *a;

    fixture_init(&f);
    a = connect_as(&f, 'a');
    publish_retained(&f, a, "t", "v");
    subscribe_with(&f, a, 1, "t", OPTIONS({"group", "g", 0}));
    CU_ASSERT_TRUE(gets_ok(a, 1, 0));
    fixture_deinit(&f);
}

static void a_large_value_is_retained_as_a_block(void) {
    TopicFixture f;
    Session *a;
    char *large = ferry_alloc(200000);
    const FakeSent *sent;

    fixture_init(&f);
    a = connect_as(&f, 'a');
    memset(large, 'z', 200000);
    topics_publish(f.topics, a,
                   &(Message){.op = OP_PUBLISH,
                              .publish.flags = PUBLISH_RETAIN,
                              .name = span_text("t"),
                              .body = span_of(large, 200000)},
                   large);
    ferry_free(large);
    subscribe(&f, a, 1, "t");
    sent = fake_take(a);
    CU_ASSERT_PTR_NOT_NULL_FATAL(sent);
    CU_ASSERT_EQUAL(sent->message.body.len, 200000);
    CU_ASSERT_PTR_EQUAL(sent->block, large);
    CU_ASSERT_TRUE(gets_ok(a, 1, 1));
    fixture_deinit(&f);
}

/* ---- the last n ---- */

static void numbers(TopicFixture *f, Session *session, const char *topic, int from, int to) {
    for (int i = from; i <= to; i++) {
        char body[16];

        snprintf(body, sizeof(body), "%d", i);
        publish(f, session, topic, body);
    }
}

static void the_last_messages_are_replayed(void) {
    TopicFixture f;
    Session *a;

    fixture_init(&f);
    a = connect_as(&f, 'a');
    numbers(&f, a, "t", 1, 100);
    subscribe_with(&f, a, 1, "t", OPTIONS({"last", NULL, 3}));
    CU_ASSERT_TRUE(gets(a, 1, 1, "t", "98"));
    CU_ASSERT_TRUE(gets(a, 1, 2, "t", "99"));
    CU_ASSERT_TRUE(gets(a, 1, 3, "t", "100"));
    CU_ASSERT_TRUE(gets_ok(a, 1, 3));
    /* As many as are kept. */
    subscribe_with(&f, a, 2, "t", OPTIONS({"last", NULL, UINT64_MAX}));
    CU_ASSERT_EQUAL(fake_n_sent(a), TOPIC_KEEP + 1);
    CU_ASSERT_TRUE(gets(a, 2, 1, "t", "85"));
    fake_drop(a);
    /* Each topic has its own messages. */
    numbers(&f, a, "u", 1, 2);
    fake_drop(a);
    subscribe_with(&f, a, 3, "*", OPTIONS({"last", NULL, 3}));
    CU_ASSERT_EQUAL(fake_n_sent(a), 6);
    fixture_deinit(&f);
}

static void a_retained_value_among_the_last_comes_once(void) {
    TopicFixture f;
    Session *a;

    fixture_init(&f);
    a = connect_as(&f, 'a');
    publish(&f, a, "t", "1");
    publish_retained(&f, a, "t", "2");
    publish(&f, a, "t", "3");
    subscribe_with(&f, a, 1, "t", OPTIONS({"last", NULL, 2}));
    CU_ASSERT_TRUE(gets(a, 1, 1, "t", "2"));
    CU_ASSERT_TRUE(gets(a, 1, 2, "t", "3"));
    CU_ASSERT_TRUE(gets_ok(a, 1, 2));
    subscribe_with(&f, a, 2, "t", OPTIONS({"last", NULL, 1}));
    CU_ASSERT_TRUE(gets(a, 2, 1, "t", "2"));
    CU_ASSERT_TRUE(gets(a, 2, 2, "t", "3"));
    CU_ASSERT_TRUE(gets_ok(a, 2, 2));
    fixture_deinit(&f);
}

static void a_held_message_is_not_written_over(void) {
    TopicFixture f;
    Session *a;

    fixture_init(&f);
    a = connect_as(&f, 'a');
    publish_retained(&f, a, "t", "kept");
    subscribe(&f, a, 1, "t");
    fake_drop(a);
    block(a);
    publish(&f, a, "t", "wait");
    numbers(&f, a, "u", 1, 3);
    numbers(&f, a, "t", 10, 59);
    unblock(a);
    topics_turn_end(f.topics);
    CU_ASSERT_TRUE(gets(a, 1, 2, "t", "wait"));
    CU_ASSERT_TRUE(gets(a, 1, 3, "t", "10"));
    fake_drop(a);
    subscribe(&f, a, 2, "t");
    CU_ASSERT_TRUE(gets(a, 2, 1, "t", "kept"));
    fixture_deinit(&f);
}

static void long_messages_push_out_older_ones(void) {
    TopicFixture f;
    Session *a;
    static char body[20001];

    fixture_init(&f);
    a = connect_as(&f, 'a');
    memset(body, 'x', 20000);
    for (int i = 0; i < 10; i++)
        publish(&f, a, "t", body);
    CU_ASSERT_TRUE(broker_stored(&f.broker) < TOPIC_KEEP_BYTES + 20000);
    subscribe_with(&f, a, 1, "t", OPTIONS({"last", NULL, 16}));
    CU_ASSERT_EQUAL(fake_n_sent(a), 4);
    fixture_deinit(&f);
}

static void a_message_too_large_to_keep_empties_the_ring(void) {
    TopicFixture f;
    Session *a;
    static char body[TOPIC_KEEP_BYTES + 1];

    fixture_init(&f);
    a = connect_as(&f, 'a');
    memset(body, 'x', TOPIC_KEEP_BYTES);
    numbers(&f, a, "t", 1, 5);
    publish(&f, a, "t", body);
    subscribe_with(&f, a, 1, "t", OPTIONS({"last", NULL, 16}));
    CU_ASSERT_TRUE(gets_ok(a, 1, 0));
    numbers(&f, a, "t", 6, 6);
    fake_drop(a);
    subscribe_with(&f, a, 2, "t", OPTIONS({"last", NULL, 16}));
    CU_ASSERT_TRUE(gets(a, 2, 1, "t", "6"));
    fixture_deinit(&f);
}

static void questions_are_not_replayed(void) {
    TopicFixture f;
    Session *a;

    fixture_init(&f);
    a = connect_as(&f, 'a');
    publish_message(&f, a,
                    &(Message){.op = OP_PUBLISH,
                               .id = 1,
                               .publish.flags = PUBLISH_GATHER,
                               .publish.window_ms = 10,
                               .name = span_text("t"),
                               .body = span_text("?")});
    CU_ASSERT_TRUE(gets_ok(a, 1, 0));
    subscribe_with(&f, a, 2, "t", OPTIONS({"last", NULL, 5}));
    CU_ASSERT_TRUE(gets_ok(a, 2, 0));
    fixture_deinit(&f);
}

static void all_topics_together_keep_a_share_of_the_total(void) {
    TopicFixture f;
    Session *a;
    static char body[1001];
    char topic[32];

    fixture_init(&f);
    f.broker.limits.max_total_bytes = 1600000;
    a = connect_as(&f, 'a');
    memset(body, 'x', 1000);
    for (int i = 0; i < 1000; i++) {
        snprintf(topic, sizeof(topic), "t.%d", i);
        publish(&f, a, topic, body);
    }
    CU_ASSERT_TRUE(f.topics->replay_bytes <= 100000);
    CU_ASSERT_TRUE(f.topics->replay_bytes >= 90000);
    /* Recently used topics are known, others are forgotten. */
    subscribe_with(&f, a, 1, "t.999", OPTIONS({"last", NULL, 1}));
    CU_ASSERT_TRUE(gets(a, 1, 1, "t.999", body));
    subscribe_with(&f, a, 2, "t.1", OPTIONS({"last", NULL, 1}));
    fake_take(a);
    CU_ASSERT_TRUE(gets_ok(a, 2, 0));
    fixture_deinit(&f);
}

/* ---- rules ---- */

static int configure(TopicFixture *f, const char *pattern, const char *key, const char *value) {
    const char *problem = NULL;
    int r = topics_configure(f->topics, pattern, key, value, &problem);

    CU_ASSERT_EQUAL(r < 0, problem != NULL);
    return r;
}

static void rules_say_how_many_are_kept(void) {
    TopicFixture f;
    Session *a;

    fixture_init(&f);
    a = connect_as(&f, 'a');
    CU_ASSERT_EQUAL(configure(&f, "t.>", "keep", "50"), 0);
    CU_ASSERT_EQUAL(configure(&f, "t.none", "keep", "0"), 0);
    numbers(&f, a, "t.x", 1, 100);
    numbers(&f, a, "t.none", 1, 100);
    subscribe_with(&f, a, 1, "t.x", OPTIONS({"last", NULL, 1000}));
    CU_ASSERT_EQUAL(fake_n_sent(a), 51);
    fake_drop(a);
    subscribe_with(&f, a, 2, "t.none", OPTIONS({"last", NULL, 1000}));
    CU_ASSERT_TRUE(gets_ok(a, 2, 0));
    /* The rule changes while the broker runs. */
    CU_ASSERT_EQUAL(configure(&f, "t.>", "keep", "2"), 0);
    numbers(&f, a, "t.x", 1, 100);
    fake_drop(a);
    subscribe_with(&f, a, 3, "t.x", OPTIONS({"last", NULL, 1000}));
    CU_ASSERT_EQUAL(fake_n_sent(a), 3);
    fixture_deinit(&f);
}

static void removed_rules_have_no_effect(void) {
    TopicFixture f;
    Session *a;

    fixture_init(&f);
    a = connect_as(&f, 'a');
    CU_ASSERT_EQUAL(configure(&f, "t.>", "keep", "3"), 0);
    numbers(&f, a, "t.x", 1, 10);
    /* The same rules again: kept messages stay. */
    topics_reload(f.topics);
    CU_ASSERT_EQUAL(configure(&f, "t.>", "keep", "3"), 0);
    topics_reloaded(f.topics, true);
    subscribe_with(&f, a, 1, "t.x", OPTIONS({"last", NULL, 1000}));
    CU_ASSERT_EQUAL(fake_n_sent(a), 4);
    fake_drop(a);
    /* An error in the middle: the earlier rules stay. */
    topics_reload(f.topics);
    CU_ASSERT_EQUAL(configure(&f, "t.>", "keep", "0"), 0);
    topics_reloaded(f.topics, false);
    subscribe_with(&f, a, 2, "t.x", OPTIONS({"last", NULL, 1000}));
    CU_ASSERT_EQUAL(fake_n_sent(a), 4);
    fake_drop(a);
    /* Without rules, topics are as if no rule had existed. */
    topics_reload(f.topics);
    topics_reloaded(f.topics, true);
    numbers(&f, a, "t.x", 1, 100);
    fake_drop(a);
    subscribe_with(&f, a, 3, "t.x", OPTIONS({"last", NULL, 1000}));
    CU_ASSERT_EQUAL(fake_n_sent(a), 17);
    fixture_deinit(&f);
}

static void messages_that_a_rule_keeps_are_not_forgotten(void) {
    TopicFixture f;
    Session *a;
    char topic[32];

    fixture_init(&f);
    f.broker.limits.max_names = 2;
    a = connect_as(&f, 'a');
    CU_ASSERT_EQUAL(configure(&f, "rare.*", "keep", "1"), 0);
    for (int i = 1; i <= 3; i++) {
        snprintf(topic, sizeof(topic), "rare.%d", i);
        publish(&f, a, topic, "v");
    }
    CU_ASSERT_EQUAL(f.topics->n_pinned, 2);
    for (int i = 0; i <= 2 * TOPICS_KNOWN; i++) {
        snprintf(topic, sizeof(topic), "often.%d", i);
        publish(&f, a, topic, "v");
    }
    /* The third topic was one too many for max_names. */
    subscribe_with(&f, a, 1, "rare.*", OPTIONS({"last", NULL, 1}));
    CU_ASSERT_EQUAL(fake_n_sent(a), 3);
    CU_ASSERT_EQUAL(configure(&f, "rare.*", "keep", "0"), 0);
    CU_ASSERT_EQUAL(f.topics->n_pinned, 0);
    fixture_deinit(&f);
}

static void rules_bound_the_bytes(void) {
    TopicFixture f;
    uint64_t before;
    Session *a;

    fixture_init(&f);
    a = connect_as(&f, 'a');
    publish(&f, a, "t", "x"); /* now the broker knows the topic */
    before = broker_stored(&f.broker) + sizeof(Replay) + 1000 * sizeof(SharedMessage *);
    CU_ASSERT_EQUAL(configure(&f, "t", "keep_bytes", "1K"), 0);
    CU_ASSERT_EQUAL(configure(&f, "t", "keep", "1000"), 0);
    numbers(&f, a, "t", 1, 1000);
    CU_ASSERT_TRUE(broker_stored(&f.broker) - before < 2048); /* includes the rounding of each
                                                               * message */
    CU_ASSERT_TRUE(broker_stored(&f.broker) - before > 800);
    fixture_deinit(&f);
}

static void bad_rules_are_refused(void) {
    TopicFixture f;

    fixture_init(&f);
    CU_ASSERT_EQUAL(configure(&f, "a..b", "keep", "1"), -EINVAL);
    CU_ASSERT_EQUAL(configure(&f, "a", "kept", "1"), -EINVAL);
    CU_ASSERT_EQUAL(configure(&f, "a", "keep", "many"), -EINVAL);
    CU_ASSERT_EQUAL(configure(&f, "a", "keep", "1.5"), -EINVAL);
    CU_ASSERT_EQUAL(configure(&f, "a", "keep", "-1"), -EINVAL);
    CU_ASSERT_EQUAL(configure(&f, "a", "keep", "1001"), -EINVAL);
    CU_ASSERT_EQUAL(configure(&f, "a", "keep_bytes", "x"), -EINVAL);
    CU_ASSERT_EQUAL(configure(&f, "a", "keep", "1000"), 0);
    fixture_deinit(&f);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(later_subscribers_get_the_retained_value_before_ok),
        TEST(an_empty_body_deletes_and_is_delivered),
        TEST(a_wildcard_gets_all_matching_values),
        TEST(at_most_max_names_are_retained),
        TEST(retained_values_count_against_the_total),
        TEST(values_beyond_the_credit_wait_and_ok_comes_last),
        TEST(waiting_values_count_against_the_total),
        TEST(ok_comes_even_if_initial_messages_are_dropped),
        TEST(unsubscribing_early_answers_both),
        TEST(members_of_groups_get_no_retained_values),
        TEST(a_large_value_is_retained_as_a_block),
        TEST(the_last_messages_are_replayed),
        TEST(a_retained_value_among_the_last_comes_once),
        TEST(a_held_message_is_not_written_over),
        TEST(long_messages_push_out_older_ones),
        TEST(a_message_too_large_to_keep_empties_the_ring),
        TEST(questions_are_not_replayed),
        TEST(all_topics_together_keep_a_share_of_the_total),
        TEST(rules_say_how_many_are_kept),
        TEST(removed_rules_have_no_effect),
        TEST(messages_that_a_rule_keeps_are_not_forgotten),
        TEST(rules_bound_the_bytes),
        TEST(bad_rules_are_refused),
        TESTS_END,
    };

    return run_suite("broker retained and replayed", tests);
}
