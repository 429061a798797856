/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/broker/topics/fixture.h"

#include "broker/admin/admin-private.h"
#include "broker/topics/topics-private.h"

static void publish_with_id(TopicFixture *f, Session *session, uint64_t id, const char *topic,
                            size_t len) {
    publish_message(f, session,
                    &(Message){.op = OP_PUBLISH, .id = id, .name = span_of(topic, len)});
}

static void a_publish_with_an_id_is_answered_once(void) {
    TopicFixture f;
    Session *a;

    fixture_init(&f);
    a = connect_as(&f, 'a');
    publish_with_id(&f, a, 3, "t", 1);
    CU_ASSERT_TRUE(gets_ok(a, 3, 0));
    CU_ASSERT_TRUE(gets_nothing(a));
    fixture_deinit(&f);
}

static void bad_names_are_refused(void) {
    static const Span bad[] = {
        {(const uint8_t *)"", 0},     {(const uint8_t *)"a..b", 4}, {(const uint8_t *)"a.*", 3},
        {(const uint8_t *)">", 1},    {(const uint8_t *)"a b", 3},  {(const uint8_t *)"a\0b", 3},
        {(const uint8_t *)"a\nb", 3}, {(const uint8_t *)".", 1},    {(const uint8_t *)"\xff", 1},
    };
    TopicFixture f;
    Session *a;

    fixture_init(&f);
    a = connect_as(&f, 'a');
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        publish_with_id(&f, a, 1, (const char *)bad[i].data, bad[i].len);
        CU_ASSERT_TRUE(gets_error(a, 1, "ferry.InvalidArgument"));
    }
    /* The publisher asks for no answer. */
    publish_with_id(&f, a, 0, "a..b", 4);
    CU_ASSERT_FALSE(fake_is_faulted(a));
    CU_ASSERT_TRUE(gets_nothing(a));
    CU_ASSERT_EQUAL(f.broker.stats.published, 0);
    fixture_deinit(&f);
}

static void names_are_255_bytes_at_most(void) {
    TopicFixture f;
    Session *a;
    char name[257];

    fixture_init(&f);
    a = connect_as(&f, 'a');
    memset(name, 'n', sizeof(name));
    publish_with_id(&f, a, 1, name, 255);
    CU_ASSERT_TRUE(gets_ok(a, 1, 0));
    publish_with_id(&f, a, 2, name, 256);
    CU_ASSERT_TRUE(gets_error(a, 2, "ferry.InvalidArgument"));
    fixture_deinit(&f);
}

static void the_brokers_own_names_are_refused(void) {
    TopicFixture f;
    Session *a;

    fixture_init(&f);
    a = connect_as(&f, 'a');
    publish_with_id(&f, a, 1, "ferry.events", 12);
    CU_ASSERT_TRUE(gets_error(a, 1, "ferry.PermissionDenied"));
    publish_with_id(&f, a, 0, "ferry.events", 12);
    CU_ASSERT_EQUAL(a->n_dropped, 1);
    publish_with_id(&f, a, 2, "ferryboat", 9);
    CU_ASSERT_TRUE(gets_ok(a, 2, 0));
    fixture_deinit(&f);
}

static void topics_notice_new_patterns(void) {
    TopicFixture f;
    Session *a;

    fixture_init(&f);
    a = connect_as(&f, 'a');
    publish(&f, a, "t.x", "1");
    subscribe(&f, a, 1, "t.x");
    publish(&f, a, "t.x", "2");
    subscribe(&f, a, 2, "t.*");
    publish(&f, a, "t.x", "3");
    unsubscribe(&f, a, 0, 1);
    publish(&f, a, "t.x", "4");
    unsubscribe(&f, a, 0, 2);
    publish(&f, a, "t.x", "5");
    CU_ASSERT_TRUE(gets_ok(a, 1, 0));
    CU_ASSERT_TRUE(gets(a, 1, 1, "t.x", "2"));
    CU_ASSERT_TRUE(gets_ok(a, 2, 0));
    CU_ASSERT_EQUAL(fake_n_sent(a), 3);
    fake_drop(a);
    fixture_deinit(&f);
}

static void patterns_beyond_the_remembered_ones_get_messages_too(void) {
    enum { N = 3 * TOPIC_MATCH_MAX };
    TopicFixture f;
    Session *a;
    char pattern[64];
    uint64_t id = 0;

    /* All patterns of 8 tokens 'a' or '*'. */
    fixture_init(&f);
    a = connect_as(&f, 'a');
    for (unsigned i = 0; i < N; i++) {
        *pattern = '\0';
        for (int k = 0; k < 8; k++)
            strcat(strcat(pattern, k ? "." : ""), i >> k & 1 ? "*" : "a");
        subscribe(&f, a, ++id, pattern);
    }
    fake_drop(a);
    for (int i = 0; i < 3; i++) {
        publish(&f, a, "a.a.a.a.a.a.a.a", "x");
        publish(&f, a, "a.a.a.a.a.a.a.b", "y");
        CU_ASSERT_TRUE(fake_n_sent(a) > N);
        fake_drop(a);
    }
    publish(&f, a, "a.a.a.a.a.a.a.a", "x");
    CU_ASSERT_EQUAL(fake_n_sent(a), N);
    fixture_deinit(&f);
}

static void topics_that_are_used_once_are_forgotten(void) {
    TopicFixture f;
    Session *a;
    char topic[32];
    size_t n_nodes;

    fixture_init(&f);
    a = connect_as(&f, 'a');
    subscribe(&f, a, 1, "often");
    fake_drop(a);
    publish_retained(&f, a, "kept", "v");
    for (int i = 0; i < 3 * TOPICS_KNOWN; i++) {
        snprintf(topic, sizeof(topic), "once.%d", i);
        publish(&f, a, topic, "x");
        if (i % 1000 == 0)
            publish(&f, a, "often", "x");
    }
    CU_ASSERT_TRUE(HASH_COUNT(f.topics->topics) <= TOPICS_KNOWN + 2);
    CU_ASSERT_PTR_NOT_NULL(topic_find(f.topics, span_text("often")));
    CU_ASSERT_PTR_NOT_NULL(topic_find(f.topics, span_text("kept")));
    CU_ASSERT_PTR_NULL(topic_find(f.topics, span_text("once.1")));
    n_nodes = f.topics->names.n_nodes;
    CU_ASSERT_TRUE(n_nodes <= TOPICS_KNOWN + 10);
    fixture_deinit(&f);
}

static void ten_thousand_subscriptions_cost_no_more_than_one(void) {
    TopicFixture f;
    Session *a;
    char pattern[64];
    Topic *topic;

    fixture_init(&f);
    a = connect_as(&f, 'a');
    for (unsigned i = 0; i < 10000; i++) {
        snprintf(pattern, sizeof(pattern), i % 2 ? "p.us.%u" : "p.*.us%u", i);
        subscribe(&f, a, i + 1, pattern);
    }
    fake_drop(a);
    publish(&f, a, "p.us.77", "x");
    CU_ASSERT_TRUE(gets(a, 78, 1, "p.us.77", "x"));
    CU_ASSERT_TRUE(gets_nothing(a));
    topic = topic_find(f.topics, span_text("p.us.77"));
    CU_ASSERT_PTR_NOT_NULL_FATAL(topic);
    CU_ASSERT_EQUAL(topic->n_match, 1);
    CU_ASSERT_EQUAL(topic->generation, f.topics->generation);
    fixture_deinit(&f);
}

static void a_description_is_well_formed(void) {
    CLEANUP(buffer_deinit) Buffer to = {0};
    TopicFixture f;
    Session *a;
    Reader reader;

    fixture_init(&f);
    a = connect_as(&f, 'a');
    publish(&f, a, "t", "1");
    publish_retained(&f, a, "t", "2");
    subscribe(&f, a, 1, "t");
    subscribe_with(&f, a, 2, "t", OPTIONS({"group", "g", 0}));
    CU_ASSERT_EQUAL(admin_list(&f.broker, &list_of_topics, NULL, 0, &to), 0);
    CU_ASSERT_PTR_NULL(wire_check(to.data, to.len));
    reader = reader_of(to.data, to.len);
    CU_ASSERT_EQUAL(reader_array(&reader), 2);
    CU_ASSERT_EQUAL(reader_map(&reader), 4);
    CU_ASSERT_TRUE(same(reader_str(&reader), "name"));
    CU_ASSERT_TRUE(same(reader_str(&reader), "t"));
    CU_ASSERT_TRUE(same(reader_str(&reader), "published"));
    CU_ASSERT_EQUAL(reader_uint(&reader), 2);
    CU_ASSERT_TRUE(same(reader_str(&reader), "retained"));
    CU_ASSERT_TRUE(reader_bool(&reader));
    CU_ASSERT_TRUE(same(reader_str(&reader), "kept"));
    CU_ASSERT_EQUAL(reader_uint(&reader), 2);
    CU_ASSERT_EQUAL(reader_map(&reader), 2);
    CU_ASSERT_TRUE(same(reader_str(&reader), "pattern"));
    CU_ASSERT_TRUE(same(reader_str(&reader), "t"));
    CU_ASSERT_TRUE(same(reader_str(&reader), "subscribers"));
    CU_ASSERT_EQUAL(reader_uint(&reader), 2);
    fixture_deinit(&f);
}

/* ---- a long random life: numbers are always right ---- */

static uint64_t state = 7;

static unsigned dice(unsigned sides) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(state >> 33) % sides;
}

typedef struct Life {
    uint64_t sub;  /* 0: not subscribed */
    uint64_t seen; /* the number of the last message, including reported losses */
    uint64_t received, missed;
    bool answered;
} Life;

static void drain(Session *session, Life *life) {
    const FakeSent *sent;

    while ((sent = fake_take(session))) {
        const Message *message = &sent->message;

        if (message->op == OP_MESSAGE && message->message.sub == life->sub) {
            CU_ASSERT_TRUE(message->message.seq > life->seen);
            life->missed += message->message.seq - life->seen - 1;
            life->seen = message->message.seq;
            life->received++;
        } else if (message->op == OP_GAP && message->gap.sub == life->sub) {
            life->missed += message->gap.count;
            life->seen += message->gap.count;
        } else if (message->op == OP_OK && message->id == life->sub) {
            life->answered = true;
        }
    }
}

static void numbers_add_up_over_a_random_life(void) {
    static const char *const policies[] = {"drop-newest", "drop-oldest"};
    enum { N = 4 };
    TopicFixture f;
    Session *session[N], *publisher;
    Life life[N] = {{0}};
    uint64_t published = 0, id = 0;

    fixture_init(&f);
    publisher = connect_as(&f, 'p');
    for (int i = 0; i < N; i++) {
        session[i] = connect_as(&f, (uint8_t)('a' + i));
        life[i].sub = ++id;
        subscribe_with(&f, session[i], id, "t",
                       OPTIONS({"overflow", policies[i % 2], 0}, {"backlog", NULL, 700}));
    }
    for (int step = 0; step < 20000; step++) {
        int i = (int)dice(N);

        switch (dice(12)) {
        case 0:
            block(session[i]);
            break;
        case 1:
            unblock(session[i]);
            break;
        case 2:
            topics_turn_end(f.topics);
            break;
        case 3:
            drain(session[i], &life[i]);
            break;
        case 4:
            if (dice(20) > 0)
                break;
            /* Unread messages are lost with the connection. */
            if (dice(2))
                drain(session[i], &life[i]);
            lose(&f, session[i]);
            if (dice(2))
                publish(&f, publisher, "t", "x"), published++;
            session[i] = connect_as(&f, (uint8_t)('a' + i));
            id++;
            subscribe_with(&f, session[i], id, "t",
                           OPTIONS({"resume", NULL, life[i].sub}, {"seen", NULL, life[i].seen},
                                   {"overflow", policies[i % 2], 0}, {"backlog", NULL, 700}));
            life[i].sub = id;
            break;
        default:
            publish(&f, publisher, "t", "x");
            published++;
        }
    }
    for (int i = 0; i < N; i++)
        unblock(session[i]);
    topics_turn_end(f.topics);
    for (int i = 0; i < N; i++) {
        drain(session[i], &life[i]);
        CU_ASSERT_TRUE(life[i].answered);
        CU_ASSERT_EQUAL(life[i].seen, published);
        CU_ASSERT_EQUAL(life[i].received + life[i].missed, published);
        CU_ASSERT_TRUE(life[i].missed > 0);
    }
    fixture_deinit(&f);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(a_publish_with_an_id_is_answered_once),
        TEST(bad_names_are_refused),
        TEST(names_are_255_bytes_at_most),
        TEST(the_brokers_own_names_are_refused),
        TEST(topics_notice_new_patterns),
        TEST(patterns_beyond_the_remembered_ones_get_messages_too),
        TEST(topics_that_are_used_once_are_forgotten),
        TEST(ten_thousand_subscriptions_cost_no_more_than_one),
        TEST(a_description_is_well_formed),
        TEST(numbers_add_up_over_a_random_life),
        TESTS_END,
    };

    return run_suite("broker topics", tests);
}
