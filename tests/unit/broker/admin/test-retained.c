/* SPDX-License-Identifier: Apache-2.0 */
/* Retained values that brokers share: at the broker of the publisher, and at those of subscribers.
 */

#include "broker/admin/retained.h"

#include <errno.h>

#include "broker/topics/topics-private.h"
#include "unit/broker/admin/fake-relay.h"

static void publish_flagged(uint64_t id, const char *topic, const char *body, uint64_t flags) {
    Message message = {.op = OP_PUBLISH,
                       .id = id,
                       .name = span_text(topic),
                       .publish = {.flags = flags, .window_ms = 10},
                       .body = span_text(body)};

    binds_publish(broker.binds, s, &message, NULL);
}

static void publish_retained(uint64_t id, const char *topic, const char *body) {
    publish_flagged(id, topic, body, PUBLISH_RETAIN);
}

static Session *connect_as(uint8_t client) {
    Session *session = fake_connect(&broker, client);

    session->peer->out.credit = WIRE_CREDIT;
    return session;
}

/* resume: 0: it is a new subscription. */
static void subscribe_again(Session *session, uint64_t id, uint64_t resume, const char *pattern) {
    CLEANUP(buffer_deinit) Buffer options = {0};
    Message message = {.op = OP_SUBSCRIBE, .id = id, .name = span_text(pattern)};

    write_map(&options, resume ? 1 : 0);
    if (resume)
        write_pair(&options, "resume", resume);
    message.subscribe.options = span_of(options.data, options.len);
    retained_subscribe(broker.retained, session, &message);
}

static void subscribe(Session *session, uint64_t id, const char *pattern) {
    subscribe_again(session, id, 0, pattern);
}

/* The store has a value, or another broker has stored it at this time. */
static void store_value(unsigned shard, const char *topic, const char *body, bool is_new,
                        uint64_t published_ms) {
    CLEANUP(buffer_deinit) Buffer value = {0};
    Message message = {.op = OP_PUBLISH, .name = span_text(topic), .body = span_text(body)};

    if (*body)
        inbox_entry_write(&value, NULL, 0, &message);
    CU_ASSERT_TRUE(relay.values.on_value(shard, span_text(topic), span_of(value.data, value.len),
                                         is_new, published_ms, relay.values.ctx));
}

static void end_look(void) {
    relay.values.on_looked(looks, relay.values.ctx);
}

static void expect_message(Session *session, const char *topic, const char *body) {
    const FakeSent *sent = fake_take(session);

    CU_ASSERT_PTR_NOT_NULL_FATAL(sent);
    CU_ASSERT_EQUAL(sent->message.op, OP_MESSAGE);
    CU_ASSERT_TRUE(span_is(sent->message.name, topic));
    CU_ASSERT_TRUE(span_is(sent->message.body, body));
}

static const char *topic_in(unsigned shard) {
    static char names[N_SHARDS][16];

    snprintf(names[shard], sizeof(names[0]), "%s", queue_in(shard, 0));
    return names[shard];
}

/* ---- publishers ---- */

static void a_value_is_confirmed_when_the_store_has_it(void) {
    InboxEntry entry;

    begin();
    for (unsigned shard = 0; shard < N_SHARDS; shard++) {
        const FakeEntry *sent = &entries[shard];

        publish_retained(shard + 1, topic_in(shard), "x");
        CU_ASSERT_EQUAL_FATAL(n_entries, shard + 1);
        CU_ASSERT_TRUE(sent->is_value);
        CU_ASSERT_EQUAL(sent->shard, shard);
        CU_ASSERT_STRING_EQUAL(sent->topic, topic_in(shard));
        CU_ASSERT_EQUAL_FATAL(inbox_entry_read(span_of(sent->data, sent->len), &entry), 0);
        CU_ASSERT_TRUE(span_is(entry.message.body, "x"));
        expect_nothing(s);
        answer_sent(shard, 0);
        CU_ASSERT_EQUAL(expect_ok(s, shard + 1), 0);
    }
    /* It comes back from the store. */
    CU_ASSERT_EQUAL(broker.topics->n_retained, 0);
    publish_flagged(9, topic_in(0), "plain", 0);
    expect_ok(s, 9);
    CU_ASSERT_EQUAL(n_entries, N_SHARDS);
    end();
}

static void an_empty_message_deletes_the_value(void) {
    begin();
    publish_retained(1, topic_in(1), "");
    CU_ASSERT_TRUE(entries[0].is_value);
    CU_ASSERT_EQUAL(entries[0].len, 0);
    answer_sent(0, 0);
    expect_ok(s, 1);
    store_value(1, topic_in(1), "x", true, 0);
    CU_ASSERT_EQUAL(broker.topics->n_retained, 1);
    store_value(1, topic_in(1), "", true, 0);
    CU_ASSERT_EQUAL(broker.topics->n_retained, 0);
    end();
}

static void a_value_that_cannot_be_kept_is_an_error(void) {
    Session *a;

    begin();
    a = connect_as('a');
    subscribe(a, 1, topic_in(1));
    end_look();
    expect_ok(a, 1);
    admitted[1] = -EBUSY;
    publish_retained(1, topic_in(1), "x");
    expect_error(s, 1, "ferry.Overloaded");
    expect_nothing(a);
    /* Without an id, the message is an ordinary one. */
    publish_retained(0, topic_in(1), "x");
    expect_nothing(s);
    expect_message(a, topic_in(1), "x");
    CU_ASSERT_EQUAL(n_entries, 0);
    CU_ASSERT_EQUAL(broker.stats.dropped, 1);
    CU_ASSERT_EQUAL(broker.topics->n_retained, 0);
    admitted[1] = 0;
    publish_retained(2, topic_in(1), "x");
    answer_sent(0, -E2BIG);
    expect_error(s, 2, "ferry.Full");
    publish_retained(3, topic_in(1), "x");
    answer_sent(1, -ENOBUFS);
    expect_error(s, 3, "ferry.Full");
    publish_retained(4, "ferry.x", "x");
    expect_error(s, 4, "ferry.PermissionDenied");
    CU_ASSERT_EQUAL(n_entries, 2);
    end();
}

static void the_answer_waits_for_queues_and_the_value(void) {
    const char *queue = begin_with_bind();

    publish_retained(2, "t", "x");
    CU_ASSERT_EQUAL_FATAL(n_entries, 1);
    CU_ASSERT_TRUE(entries[0].is_value);
    end_changes(&shards[0]);
    expect_nothing(s);
    answer_sent(0, 0);
    CU_ASSERT_EQUAL(expect_ok(s, 2), 1);
    CU_ASSERT_EQUAL(count_of(queue, "ready"), 1);
    end();
}

static void a_question_is_answered_once(void) {
    begin();
    publish_flagged(1, topic_in(1), "x", PUBLISH_RETAIN | PUBLISH_GATHER);
    CU_ASSERT_EQUAL_FATAL(n_entries, 1);
    fake_advance(&broker, 20);
    expect_ok(s, 1); /* the question has ended */
    answer_sent(0, 0);
    expect_nothing(s);
    end();
}

/* ---- subscribers ---- */

static void a_subscriber_waits_for_a_look(void) {
    Session *a;

    begin();
    a = connect_as('a');
    store_value(0, topic_in(0), "old", true, 0);
    subscribe(a, 1, topic_in(0));
    expect_nothing(a);
    store_value(0, topic_in(0), "x", true, broker.now_ms);
    end_look();
    expect_message(a, topic_in(0), "x");
    CU_ASSERT_EQUAL(expect_ok(a, 1), 1);
    subscribe(a, 2, topic_in(0));
    relay.values.on_looked(looks - 1, relay.values.ctx);
    expect_nothing(a);
    retained_unsubscribe(broker.retained, a,
                         &(Message){.op = OP_UNSUBSCRIBE, .id = 3, .unsubscribe.sub = 2});
    expect_message(a, topic_in(0), "x");
    expect_ok(a, 2);
    expect_ok(a, 3);
    subscribe(a, 4, topic_in(0));
    end_session(a);
    end_look();
    end();
}

static void a_subscriber_of_an_unknown_topic_does_not_wait(void) {
    Session *a;

    begin();
    a = connect_as('a');
    subscribe(a, 1, topic_in(0));
    expect_ok(a, 1);
    CU_ASSERT_EQUAL(looks, 1);
    store_value(0, topic_in(0), "x", true, broker.now_ms);
    expect_message(a, topic_in(0), "x");
    publish_flagged(0, topic_in(1), "known", 0);
    subscribe(a, 2, topic_in(1));
    expect_nothing(a);
    end_look();
    expect_ok(a, 2);
    end();
}

static void a_value_comes_from_the_broker_that_has_its_shard(void) {
    Session *a;

    begin();
    a = connect_as('a');
    for (unsigned shard = 0; shard < N_SHARDS; shard++)
        store_value(shard, topic_in(shard), "x", false, 0);
    subscribe(a, 1, ">");
    end_look();
    expect_message(a, topic_in(0), "x");
    expect_ok(a, 1);
    CU_ASSERT_FALSE(
        retained_is_given(broker.retained, topic_find(broker.topics, span_text(topic_in(1)))));
    adopt(1);
    subscribe(a, 2, topic_in(1));
    end_look();
    expect_message(a, topic_in(1), "x");
    expect_ok(a, 2);
    CU_ASSERT_TRUE(
        retained_is_given(broker.retained, topic_find(broker.topics, span_text(topic_in(1)))));
    end();
}

/* Shard 1 was at no broker when it began. */
static void a_subscriber_gets_values_of_a_shard_that_comes_later(void) {
    Session *a, *old, *member;
    CLEANUP(buffer_deinit) Buffer options = {0};
    Message message = {.op = OP_SUBSCRIBE, .id = 1};
    uint64_t served_ms;

    begin();
    message.name = span_text(topic_in(1));
    old = connect_as('o');
    a = connect_as('a');
    member = connect_as('m');
    store_value(1, topic_in(1), "x", false, 0);
    subscribe(old, 1, topic_in(1));
    end_look();
    expect_ok(old, 1);
    fake_advance(&broker, 2 * RETAINED_SPREAD_MS);
    served_ms = broker.now_ms;
    subscribe(a, 1, topic_in(1));
    write_map(&options, 1);
    write_text(&options, "group");
    write_text(&options, "g");
    message.subscribe.options = span_of(options.data, options.len);
    retained_subscribe(broker.retained, member, &message);
    end_look();
    expect_ok(a, 1);
    expect_ok(member, 1);
    relay.values.on_here(1, served_ms, relay.values.ctx);
    expect_message(a, topic_in(1), "x");
    expect_nothing(old);
    expect_nothing(member);
    end();
}

static void a_value_on_the_way_reaches_a_new_subscriber(void) {
    enum { LATER_MS = 10 * RETAINED_SPREAD_MS };
    uint64_t published_ms;
    Session *a;

    begin();
    a = connect_as('a');
    fake_advance(&broker, LATER_MS);
    published_ms = broker.now_ms;
    subscribe(a, 1, ">");
    end_look();
    expect_ok(a, 1);
    store_value(0, topic_in(0), "x", true, published_ms);
    expect_message(a, topic_in(0), "x");
    store_value(0, topic_in(0), "", true, published_ms);
    expect_message(a, topic_in(0), "");
    /* The broker of the shard sends it. */
    store_value(1, topic_in(1), "x", true, published_ms);
    /* It was a subscriber of the other broker then. */
    fake_advance(&broker, LATER_MS);
    store_value(0, topic_in(0), "y", true, broker.now_ms);
    store_value(0, topic_in(0), "z", false, 0);
    expect_nothing(a);
    end();
}

/* A new value was perhaps published at this broker while the subscriber was away. */
static void a_subscriber_that_comes_back_gets_what_it_may_have_missed(void) {
    Session *a;

    begin();
    store_value(1, topic_in(1), "old", false, 0);
    store_value(2, topic_in(2), "new", true, 0);
    a = connect_as('a');
    subscribe_again(a, 2, 1, ">");
    end_look();
    CU_ASSERT_EQUAL(fake_take(a)->message.op, OP_GAP);
    expect_message(a, topic_in(2), "new");
    expect_ok(a, 2);
    expect_nothing(a);
    end();
}

static void values_of_the_store_are_checked_and_forgotten(void) {
    static const uint8_t wrong[] = {0x95, 0x02};
    CLEANUP(buffer_deinit) Buffer value = {0};
    Message message = {.op = OP_PUBLISH, .name = span_text("other"), .body = span_text("x")};

    begin();
    CU_ASSERT_TRUE(relay.values.on_value(0, span_text("t"), span_of(wrong, sizeof(wrong)), true, 0,
                                         relay.values.ctx));
    inbox_entry_write(&value, NULL, 0, &message);
    CU_ASSERT_TRUE(relay.values.on_value(0, span_text("t"), span_of(value.data, value.len), true, 0,
                                         relay.values.ctx));
    CU_ASSERT_EQUAL(broker.topics->n_retained, 0);
    store_value(0, topic_in(0), "x", true, 0);
    store_value(1, topic_in(1), "x", true, 0);
    relay.values.on_all(0, relay.values.ctx);
    CU_ASSERT_EQUAL(broker.topics->n_retained, 1);
    end();
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(a_value_is_confirmed_when_the_store_has_it),
        TEST(an_empty_message_deletes_the_value),
        TEST(a_value_that_cannot_be_kept_is_an_error),
        TEST(the_answer_waits_for_queues_and_the_value),
        TEST(a_question_is_answered_once),
        TEST(a_subscriber_waits_for_a_look),
        TEST(a_subscriber_of_an_unknown_topic_does_not_wait),
        TEST(a_value_comes_from_the_broker_that_has_its_shard),
        TEST(a_subscriber_gets_values_of_a_shard_that_comes_later),
        TEST(a_value_on_the_way_reaches_a_new_subscriber),
        TEST(a_subscriber_that_comes_back_gets_what_it_may_have_missed),
        TEST(values_of_the_store_are_checked_and_forgotten),
        TESTS_END,
    };

    return run_suite("broker/admin retained", tests);
}
