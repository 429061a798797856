/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/broker/topics/fixture.h"

static void a_message_reaches_its_subscriber_unopened(void) {
    TopicFixture f;
    Session *a, *b;

    fixture_init(&f);
    a = connect_as(&f, 'a');
    b = connect_as(&f, 'b');
    subscribe(&f, a, 7, "news.*");
    CU_ASSERT_TRUE(gets_ok(a, 7, 0));
    publish(&f, b, "news.eu", "hello");
    publish(&f, b, "sports.eu", "no");
    publish(&f, b, "news.us", "again");
    CU_ASSERT_TRUE(gets(a, 7, 1, "news.eu", "hello"));
    CU_ASSERT_TRUE(gets(a, 7, 2, "news.us", "again"));
    CU_ASSERT_TRUE(gets_nothing(a));
    CU_ASSERT_TRUE(gets_nothing(b));
    CU_ASSERT_EQUAL(f.broker.stats.published, 3);
    CU_ASSERT_EQUAL(f.broker.stats.delivered, 2);
    fixture_deinit(&f);
}

static void after_unsubscribe_nothing_comes(void) {
    TopicFixture f;
    Session *a;

    fixture_init(&f);
    a = connect_as(&f, 'a');
    subscribe(&f, a, 1, "t");
    subscribe(&f, a, 2, "t");
    publish(&f, a, "t", "1");
    unsubscribe(&f, a, 3, 1);
    publish(&f, a, "t", "2");
    CU_ASSERT_TRUE(gets_ok(a, 1, 0));
    CU_ASSERT_TRUE(gets_ok(a, 2, 0));
    CU_ASSERT_TRUE(gets(a, 1, 1, "t", "1"));
    CU_ASSERT_TRUE(gets(a, 2, 1, "t", "1"));
    CU_ASSERT_TRUE(gets_ok(a, 3, 0));
    CU_ASSERT_TRUE(gets(a, 2, 2, "t", "2"));
    unsubscribe(&f, a, 4, 1);
    CU_ASSERT_TRUE(gets_error(a, 4, "ferry.NotFound"));
    CU_ASSERT_TRUE(gets_nothing(a));
    fixture_deinit(&f);
}

static void a_subscription_of_another_client_cannot_be_ended(void) {
    TopicFixture f;
    Session *a, *b;

    fixture_init(&f);
    a = connect_as(&f, 'a');
    b = connect_as(&f, 'b');
    subscribe(&f, a, 1, "t");
    unsubscribe(&f, b, 2, 1);
    CU_ASSERT_TRUE(gets_error(b, 2, "ferry.NotFound"));
    fixture_deinit(&f);
}

static void bad_patterns_and_options_are_refused(void) {
    static const char *const bad[] = {"", ".", "a..b", "a.>.b", "a*", "a b", "a\n"};
    TopicFixture f;
    Session *a;

    fixture_init(&f);
    a = connect_as(&f, 'a');
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        subscribe(&f, a, 1, bad[i]);
        CU_ASSERT_TRUE(gets_error(a, 1, "ferry.InvalidArgument"));
    }
    subscribe_with(&f, a, 1, "t", OPTIONS({"last", "many", 0}));
    CU_ASSERT_TRUE(gets_error(a, 1, "ferry.InvalidArgument"));
    subscribe_with(&f, a, 1, "t", OPTIONS({"group", NULL, 7}));
    CU_ASSERT_TRUE(gets_error(a, 1, "ferry.InvalidArgument"));
    subscribe_with(&f, a, 1, "t", OPTIONS({"group", "a b", 0}));
    CU_ASSERT_TRUE(gets_error(a, 1, "ferry.InvalidArgument"));
    subscribe_with(&f, a, 1, "t", OPTIONS({"overflow", "explode", 0}));
    CU_ASSERT_TRUE(gets_error(a, 1, "ferry.InvalidArgument"));
    subscribe_with(&f, a, 1, "t", OPTIONS({"something-new", "x", 0}, {"last", NULL, 3}));
    CU_ASSERT_TRUE(gets_ok(a, 1, 0));
    fixture_deinit(&f);
}

/* PROTOCOL.md §3: nil is the default of each option. Two members of a group would share the
 * message, and a subscription without credit would not get it. */
static void options_that_are_nil_have_their_defaults(void) {
    static const Option nil[] = {
        {"group", option_nil, 0},    {"last", option_nil, 0},
        {"resume", option_nil, 0},   {"seen", option_nil, 0},
        {"overflow", option_nil, 0}, {"backlog", option_nil, 0},
        {"credit", option_nil, 0},   {0},
    };
    TopicFixture f;
    Session *a;

    fixture_init(&f);
    a = connect_as(&f, 'a');
    for (uint64_t id = 1; id <= 2; id++) {
        subscribe_with(&f, a, id, "t", nil);
        CU_ASSERT_TRUE(gets_ok(a, id, 0));
    }
    publish(&f, a, "t", "x");
    CU_ASSERT_TRUE(gets(a, 1, 1, "t", "x"));
    CU_ASSERT_TRUE(gets(a, 2, 1, "t", "x"));
    fixture_deinit(&f);
}

static void a_subscription_needs_an_id(void) {
    TopicFixture f;
    Session *a;

    fixture_init(&f);
    a = connect_as(&f, 'a');
    subscribe(&f, a, 0, "t");
    CU_ASSERT_TRUE(gets_nothing(a));
    CU_ASSERT_FALSE(fake_is_faulted(a));
    fixture_deinit(&f);
}

static void an_id_in_use_is_refused(void) {
    TopicFixture f;
    Session *a;

    fixture_init(&f);
    a = connect_as(&f, 'a');
    subscribe(&f, a, 1, "t");
    CU_ASSERT_TRUE(gets_ok(a, 1, 0));
    subscribe_with(&f, a, 2, "t", OPTIONS({"resume", NULL, 1}));
    CU_ASSERT_TRUE(gets_error(a, 2, "ferry.InvalidArgument"));
    subscribe(&f, a, 1, "u");
    CU_ASSERT_TRUE(fake_is_faulted(a));
    fixture_deinit(&f);
}

static void a_session_has_at_most_max_subscriptions(void) {
    TopicFixture f;
    Session *a;

    fixture_init(&f);
    f.broker.limits.max_subscriptions = 2;
    a = connect_as(&f, 'a');
    subscribe(&f, a, 1, "t");
    subscribe(&f, a, 2, "t");
    fake_drop(a);
    subscribe(&f, a, 3, "t");
    CU_ASSERT_TRUE(gets_error(a, 3, "ferry.Full"));
    unsubscribe(&f, a, 4, 1);
    fake_drop(a);
    subscribe(&f, a, 5, "t");
    CU_ASSERT_TRUE(gets_ok(a, 5, 0));

    /* Detached subscriptions make room for new ones. */
    lose(&f, a);
    a = connect_as(&f, 'a');
    subscribe(&f, a, 6, "t");
    subscribe(&f, a, 7, "t");
    CU_ASSERT_TRUE(gets_ok(a, 6, 0));
    CU_ASSERT_TRUE(gets_ok(a, 7, 0));
    subscribe(&f, a, 8, "t");
    CU_ASSERT_TRUE(gets_error(a, 8, "ferry.Full"));
    fixture_deinit(&f);
}

/* Otherwise one topic would be compared with every mixture of a and *. */
static void a_session_has_few_patterns_of_many_stars(void) {
    TopicFixture f;
    Session *a;
    uint64_t id = 0, n_refused = 0;

    fixture_init(&f);
    a = connect_as(&f, 'a');
    for (unsigned mixture = 0; mixture < 1024; mixture++) {
        char pattern[20];

        for (unsigned i = 0; i < 10; i++) {
            pattern[2 * i] = mixture >> i & 1 ? '*' : 'a';
            pattern[2 * i + 1] = i < 9 ? '.' : '\0';
        }
        fake_drop(a);
        subscribe(&f, a, ++id, pattern);
        n_refused += gets_error(a, id, "ferry.Full");
    }
    /* 1, 10, 45 and 120 patterns have no more than three stars. */
    CU_ASSERT_EQUAL(n_refused, 1024 - (1 + 10 + 45 + 120) - 128);

    /* Ended subscriptions make room. */
    for (uint64_t i = 1; i <= 1024; i++)
        unsubscribe(&f, a, ++id, i);
    fake_drop(a);
    subscribe(&f, a, ++id, "*.*.*.*");
    CU_ASSERT_TRUE(gets_ok(a, id, 0));
    fixture_deinit(&f);
}

static void all_sessions_have_few_patterns_of_many_stars(void) {
    enum { SESSIONS = 10, EACH = 128, ALL = 1024 };
    unsigned n_taken = 0;
    TopicFixture f;
    Session *a = NULL;

    fixture_init(&f);
    for (unsigned i = 0; i < SESSIONS * EACH; i++) {
        char pattern[32];

        if (i % EACH == 0)
            a = connect_as(&f, (uint8_t)(1 + i / EACH));
        snprintf(pattern, sizeof(pattern), "*.*.*.*.%u", i);
        subscribe(&f, a, 1 + i % EACH, pattern);
        n_taken += gets_ok(a, 1 + i % EACH, 0);
        fake_drop(a);
    }
    CU_ASSERT_EQUAL(n_taken, ALL);
    /* Patterns that exist already, and patterns with few stars, have no limit. */
    subscribe(&f, a, 1000, "*.*.*.*.0");
    CU_ASSERT_TRUE(gets_ok(a, 1000, 0));
    subscribe(&f, a, 1001, "*.*.*.0");
    CU_ASSERT_TRUE(gets_ok(a, 1001, 0));
    /* A deep star counts like many stars. */
    subscribe(&f, a, 1002, "a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.*");
    CU_ASSERT_TRUE(gets_error(a, 1002, "ferry.Full"));
    subscribe(&f, a, 1003, "a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.*");
    CU_ASSERT_TRUE(gets_ok(a, 1003, 0));
    fixture_deinit(&f);
}

static void subscriptions_count_against_the_total(void) {
    TopicFixture f;
    Session *a;
    uint64_t n = 0;

    fixture_init(&f);
    f.broker.limits.max_total_bytes = 100000;
    a = connect_as(&f, 'a');
    do {
        char pattern[32];

        snprintf(pattern, sizeof(pattern), "a.b.%llu", (unsigned long long)++n);
        subscribe(&f, a, n, pattern);
    } while (n < 1000 && gets_ok(a, n, 0));
    CU_ASSERT_TRUE(n > 20 && n < 1000);
    CU_ASSERT_TRUE(broker_stored(&f.broker) <= 100000);
    fixture_deinit(&f);
}

static void a_draining_broker_takes_no_subscription(void) {
    TopicFixture f;
    Session *a;

    fixture_init(&f);
    f.broker.draining = true;
    a = connect_as(&f, 'a');
    subscribe(&f, a, 1, "t");
    CU_ASSERT_TRUE(gets_error(a, 1, "ferry.Draining"));
    fixture_deinit(&f);
}

static void looking_through_all_topics_again_and_again_is_refused(void) {
    TopicFixture f;
    Session *a;
    char topic[32];
    uint64_t id = 0;
    const FakeSent *sent;

    fixture_init(&f);
    a = connect_as(&f, 'a');
    for (int i = 0; i < 10000; i++) {
        snprintf(topic, sizeof(topic), "t.%d.x", i);
        publish_retained(&f, a, topic, "v");
    }
    do {
        subscribe(&f, a, ++id, "*.*.y");
        sent = fake_take(a);
    } while (id < 1000 && sent && sent->message.op == OP_OK);
    CU_ASSERT_TRUE(id > 10 && id < 100);
    CU_ASSERT_STRING_EQUAL(sent->type, "ferry.Overloaded");
    /* A plain name costs nothing, and the other session has not used its time. */
    subscribe(&f, a, ++id, "t.1.y");
    CU_ASSERT_TRUE(gets_ok(a, id, 0));
    a = connect_as(&f, 'b');
    subscribe(&f, a, 1, "*.*.y");
    CU_ASSERT_TRUE(gets_ok(a, 1, 0));
    fixture_deinit(&f);
}

static void walks_are_allowed_again_after_a_while(void) {
    TopicFixture f;
    Session *a;

    fixture_init(&f);
    a = connect_as(&f, 'a');
    a->walked_us = (f.broker.now_ms + 1000) * 1000;
    subscribe(&f, a, 1, "*");
    CU_ASSERT_TRUE(gets_error(a, 1, "ferry.Overloaded"));
    fake_advance(&f.broker, 751);
    subscribe(&f, a, 2, "*");
    CU_ASSERT_TRUE(gets_ok(a, 2, 0));
    fixture_deinit(&f);
}

/* ---- lost sessions ---- */

static void a_lost_subscription_counts_and_is_resumed(void) {
    TopicFixture f;
    Session *a, *b;

    fixture_init(&f);
    a = connect_as(&f, 'a');
    b = connect_as(&f, 'b');
    subscribe(&f, a, 1, "t.>");
    publish(&f, b, "t.1", "1");
    lose(&f, a);
    publish(&f, b, "t.1", "2");
    publish(&f, b, "t.1", "3");
    a = connect_as(&f, 'a');
    subscribe_with(&f, a, 9, "t.>", OPTIONS({"resume", NULL, 1}, {"seen", NULL, 1}));
    CU_ASSERT_TRUE(gets_gap(a, 9, 2));
    CU_ASSERT_TRUE(gets_ok(a, 9, 3));
    publish(&f, b, "t.1", "4");
    CU_ASSERT_TRUE(gets(a, 9, 4, "t.1", "4"));
    CU_ASSERT_EQUAL(f.broker.stats.dropped, 2);

    /* Once more, without a missed message. */
    lose(&f, a);
    a = connect_as(&f, 'a');
    subscribe_with(&f, a, 10, "t.>", OPTIONS({"resume", NULL, 9}, {"seen", NULL, 4}));
    CU_ASSERT_TRUE(gets_ok(a, 10, 4));
    CU_ASSERT_TRUE(gets_nothing(a));
    fixture_deinit(&f);
}

static void messages_that_waited_for_a_lost_session_are_counted(void) {
    TopicFixture f;
    Session *a, *b;

    fixture_init(&f);
    a = connect_as(&f, 'a');
    b = connect_as(&f, 'b');
    subscribe(&f, a, 1, "t");
    block(a);
    publish(&f, b, "t", "1");
    publish(&f, b, "t", "2");
    lose(&f, a);
    publish(&f, b, "t", "3");
    a = connect_as(&f, 'a');
    subscribe_with(&f, a, 2, "t", OPTIONS({"resume", NULL, 1}, {"seen", NULL, 0}));
    CU_ASSERT_TRUE(gets_gap(a, 2, 3));
    CU_ASSERT_TRUE(gets_ok(a, 2, 3));
    fixture_deinit(&f);
}

static void retained_values_make_up_for_missed_messages(void) {
    TopicFixture f;
    Session *a, *b;

    fixture_init(&f);
    a = connect_as(&f, 'a');
    b = connect_as(&f, 'b');
    subscribe(&f, a, 1, "light");
    publish_retained(&f, b, "light", "on");
    lose(&f, a);
    publish_retained(&f, b, "light", "off");
    a = connect_as(&f, 'a');
    subscribe_with(&f, a, 2, "light", OPTIONS({"resume", NULL, 1}, {"seen", NULL, 1}));
    CU_ASSERT_TRUE(gets_gap(a, 2, 1));
    CU_ASSERT_TRUE(gets(a, 2, 3, "light", "off"));
    CU_ASSERT_TRUE(gets_ok(a, 2, 3));
    fixture_deinit(&f);
}

static void a_retained_value_makes_up_for_a_message_lost_on_the_wire(void) {
    TopicFixture f;
    Session *a, *b;

    fixture_init(&f);
    a = connect_as(&f, 'a');
    b = connect_as(&f, 'b');
    subscribe(&f, a, 1, "light");
    publish_retained(&f, b, "light", "on");
    /* The broker sends this message, and the connection is lost before it arrives. */
    publish_retained(&f, b, "light", "off");
    lose(&f, a);
    a = connect_as(&f, 'a');
    subscribe_with(&f, a, 2, "light", OPTIONS({"resume", NULL, 1}, {"seen", NULL, 1}));
    CU_ASSERT_TRUE(gets_gap(a, 2, 1));
    CU_ASSERT_TRUE(gets(a, 2, 3, "light", "off"));
    CU_ASSERT_TRUE(gets_ok(a, 2, 3));
    /* A number that the broker has not reached means no loss. */
    lose(&f, a);
    a = connect_as(&f, 'a');
    subscribe_with(&f, a, 3, "light", OPTIONS({"resume", NULL, 2}, {"seen", NULL, 1000}));
    CU_ASSERT_TRUE(gets_ok(a, 3, 3));
    fixture_deinit(&f);
}

/*
 * The broker was restarted, the subscription began again, and the connection was cut before the
 * client noticed: the client's number belongs to the earlier life of the broker.
 */
static void a_client_that_heard_nothing_is_told_that_the_number_is_unknown(void) {
    TopicFixture f;
    Session *a, *b;

    fixture_init(&f);
    a = connect_as(&f, 'a');
    b = connect_as(&f, 'b');
    subscribe_with(&f, a, 2, "light", OPTIONS({"resume", NULL, 1}, {"seen", NULL, 70}));
    publish_retained(&f, b, "light", "on");
    lose(&f, a);
    a = connect_as(&f, 'a');
    subscribe_with(&f, a, 3, "light", OPTIONS({"resume", NULL, 2}));
    CU_ASSERT_TRUE(gets_gap(a, 3, GAP_UNKNOWN));
    CU_ASSERT_TRUE(gets(a, 3, 1, "light", "on"));
    CU_ASSERT_TRUE(gets_ok(a, 3, 1));
    fixture_deinit(&f);
}

static void resuming_an_unknown_subscription_reports_a_gap(void) {
    TopicFixture f;
    Session *a;

    fixture_init(&f);
    a = connect_as(&f, 'a');
    publish_retained(&f, a, "t", "v");
    subscribe_with(&f, a, 5, "t", OPTIONS({"resume", NULL, 4}));
    CU_ASSERT_TRUE(gets_gap(a, 5, GAP_UNKNOWN));
    CU_ASSERT_TRUE(gets(a, 5, 1, "t", "v"));
    CU_ASSERT_TRUE(gets_ok(a, 5, 1));
    fixture_deinit(&f);
}

static void a_lost_subscription_is_forgotten_after_a_minute(void) {
    TopicFixture f;
    Session *a;

    fixture_init(&f);
    a = connect_as(&f, 'a');
    subscribe(&f, a, 1, "t");
    lose(&f, a);
    fake_advance(&f.broker, 59999);
    CU_ASSERT_TRUE(broker_stored(&f.broker) > 0);
    fake_advance(&f.broker, 1);
    CU_ASSERT_EQUAL(broker_stored(&f.broker), 0);
    a = connect_as(&f, 'a');
    subscribe_with(&f, a, 2, "t", OPTIONS({"resume", NULL, 1}));
    CU_ASSERT_TRUE(gets_gap(a, 2, GAP_UNKNOWN));
    CU_ASSERT_TRUE(gets_ok(a, 2, 0));
    fixture_deinit(&f);
}

static void another_client_cannot_resume_a_subscription(void) {
    TopicFixture f;
    Session *a, *b;

    fixture_init(&f);
    a = connect_as(&f, 'a');
    b = connect_as(&f, 'b');
    subscribe(&f, a, 1, "t");
    lose(&f, a);
    publish(&f, b, "t", "1");
    subscribe_with(&f, b, 2, "t", OPTIONS({"resume", NULL, 1}));
    CU_ASSERT_TRUE(gets_gap(b, 2, GAP_UNKNOWN));
    CU_ASSERT_TRUE(gets_ok(b, 2, 0));
    fixture_deinit(&f);
}

static void resuming_with_another_pattern_leaves_the_lost_one(void) {
    TopicFixture f;
    Session *a;

    fixture_init(&f);
    a = connect_as(&f, 'a');
    subscribe(&f, a, 1, "t");
    subscribe_with(&f, a, 2, "t", OPTIONS({"group", "g", 0}));
    lose(&f, a);
    a = connect_as(&f, 'a');
    subscribe_with(&f, a, 3, "u", OPTIONS({"resume", NULL, 1}));
    CU_ASSERT_TRUE(gets_gap(a, 3, GAP_UNKNOWN));
    CU_ASSERT_TRUE(gets_ok(a, 3, 0));
    subscribe_with(&f, a, 4, "t", OPTIONS({"resume", NULL, 2}));
    CU_ASSERT_TRUE(gets_gap(a, 4, GAP_UNKNOWN));
    CU_ASSERT_TRUE(gets_ok(a, 4, 0));
    CU_ASSERT_EQUAL(a->client->n_subscriptions, 4);
    subscribe_with(&f, a, 5, "t", OPTIONS({"resume", NULL, 1}, {"seen", NULL, 0}));
    CU_ASSERT_TRUE(gets_ok(a, 5, 0));
    CU_ASSERT_EQUAL(a->client->n_subscriptions, 4);
    fixture_deinit(&f);
}

static void an_id_may_be_taken_over_from_the_lost_session(void) {
    TopicFixture f;
    Session *a, *b;

    fixture_init(&f);
    a = connect_as(&f, 'a');
    b = connect_as(&f, 'b');
    subscribe(&f, a, 1, "t");
    lose(&f, a);
    publish(&f, b, "t", "1");
    a = connect_as(&f, 'a');
    subscribe_with(&f, a, 1, "t", OPTIONS({"resume", NULL, 1}, {"seen", NULL, 0}));
    CU_ASSERT_TRUE(gets_gap(a, 1, 1));
    CU_ASSERT_TRUE(gets_ok(a, 1, 1));
    lose(&f, a);
    a = connect_as(&f, 'a');
    subscribe(&f, a, 1, "t");
    CU_ASSERT_TRUE(gets_ok(a, 1, 0));
    fixture_deinit(&f);
}

/* ---- groups ---- */

static void each_message_goes_to_one_member_in_turn(void) {
    TopicFixture f;
    Session *a, *b, *c;

    fixture_init(&f);
    a = connect_as(&f, 'a');
    b = connect_as(&f, 'b');
    c = connect_as(&f, 'c');
    subscribe_with(&f, a, 1, "t", OPTIONS({"group", "g", 0}));
    subscribe_with(&f, b, 1, "t", OPTIONS({"group", "g", 0}));
    subscribe(&f, c, 1, "t");
    fake_drop(a);
    fake_drop(b);
    fake_drop(c);
    for (int i = 0; i < 10; i++)
        publish(&f, c, "t", "x");
    CU_ASSERT_EQUAL(fake_n_sent(a), 5);
    CU_ASSERT_EQUAL(fake_n_sent(b), 5);
    CU_ASSERT_EQUAL(fake_n_sent(c), 10);
    CU_ASSERT_TRUE(gets(a, 1, 1, "t", "x"));
    CU_ASSERT_TRUE(gets(a, 1, 2, "t", "x"));
    fixture_deinit(&f);
}

static void groups_of_other_names_and_patterns_are_apart(void) {
    TopicFixture f;
    Session *a;

    fixture_init(&f);
    a = connect_as(&f, 'a');
    subscribe_with(&f, a, 1, "t", OPTIONS({"group", "g", 0}));
    subscribe_with(&f, a, 2, "t", OPTIONS({"group", "h", 0}));
    subscribe_with(&f, a, 3, "*", OPTIONS({"group", "g", 0}));
    fake_drop(a);
    publish(&f, a, "t", "x");
    CU_ASSERT_EQUAL(fake_n_sent(a), 3);
    fixture_deinit(&f);
}

static void members_with_room_are_preferred(void) {
    TopicFixture f;
    Session *a, *b, *c;

    fixture_init(&f);
    a = connect_as(&f, 'a');
    b = connect_as(&f, 'b');
    c = connect_as(&f, 'c');
    subscribe_with(&f, a, 1, "t", OPTIONS({"group", "g", 0}));
    subscribe_with(&f, b, 1, "t", OPTIONS({"group", "g", 0}));
    subscribe_with(&f, c, 1, "t", OPTIONS({"group", "g", 0}));
    fake_drop(a);
    fake_drop(b);
    fake_drop(c);
    block(a);
    lose(&f, b);
    for (int i = 0; i < 6; i++)
        publish(&f, c, "t", "x");
    CU_ASSERT_EQUAL(fake_n_sent(a), 0);
    CU_ASSERT_EQUAL(fake_n_sent(c), 6);

    /* If no member has room, the message waits and is not dropped. */
    block(c);
    for (int i = 0; i < 6; i++)
        publish(&f, c, "t", "y");
    CU_ASSERT_EQUAL(f.broker.stats.dropped, 0);
    unblock(a);
    unblock(c);
    topics_turn_end(f.topics);
    CU_ASSERT_EQUAL(fake_n_sent(a), 3);
    CU_ASSERT_EQUAL(fake_n_sent(c), 9);
    fixture_deinit(&f);
}

static void a_group_of_lost_members_counts_missed_messages(void) {
    TopicFixture f;
    Session *a, *b;

    fixture_init(&f);
    a = connect_as(&f, 'a');
    b = connect_as(&f, 'b');
    subscribe_with(&f, a, 1, "t", OPTIONS({"group", "g", 0}));
    lose(&f, a);
    publish(&f, b, "t", "1");
    a = connect_as(&f, 'a');
    subscribe_with(&f, a, 2, "t",
                   OPTIONS({"group", "g", 0}, {"resume", NULL, 1}, {"seen", NULL, 0}));
    CU_ASSERT_TRUE(gets_gap(a, 2, 1));
    CU_ASSERT_TRUE(gets_ok(a, 2, 1));
    publish(&f, b, "t", "2");
    CU_ASSERT_TRUE(gets(a, 2, 2, "t", "2"));
    fixture_deinit(&f);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(a_message_reaches_its_subscriber_unopened),
        TEST(after_unsubscribe_nothing_comes),
        TEST(a_subscription_of_another_client_cannot_be_ended),
        TEST(bad_patterns_and_options_are_refused),
        TEST(options_that_are_nil_have_their_defaults),
        TEST(a_subscription_needs_an_id),
        TEST(an_id_in_use_is_refused),
        TEST(a_session_has_at_most_max_subscriptions),
        TEST(a_session_has_few_patterns_of_many_stars),
        TEST(all_sessions_have_few_patterns_of_many_stars),
        TEST(subscriptions_count_against_the_total),
        TEST(a_draining_broker_takes_no_subscription),
        TEST(looking_through_all_topics_again_and_again_is_refused),
        TEST(walks_are_allowed_again_after_a_while),
        TEST(a_lost_subscription_counts_and_is_resumed),
        TEST(messages_that_waited_for_a_lost_session_are_counted),
        TEST(retained_values_make_up_for_missed_messages),
        TEST(a_retained_value_makes_up_for_a_message_lost_on_the_wire),
        TEST(a_client_that_heard_nothing_is_told_that_the_number_is_unknown),
        TEST(resuming_an_unknown_subscription_reports_a_gap),
        TEST(a_lost_subscription_is_forgotten_after_a_minute),
        TEST(another_client_cannot_resume_a_subscription),
        TEST(resuming_with_another_pattern_leaves_the_lost_one),
        TEST(an_id_may_be_taken_over_from_the_lost_session),
        TEST(each_message_goes_to_one_member_in_turn),
        TEST(groups_of_other_names_and_patterns_are_apart),
        TEST(members_with_room_are_preferred),
        TEST(a_group_of_lost_members_counts_missed_messages),
        TESTS_END,
    };

    return run_suite("broker subscriptions", tests);
}
