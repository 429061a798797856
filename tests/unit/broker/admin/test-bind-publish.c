/* SPDX-License-Identifier: Apache-2.0 */
/* Messages for bound queues that are here, and for queues at other brokers. */

#include "broker/admin/binds-private.h"

#include <errno.h>

#include "unit/broker/admin/fake-relay.h"

static InboxEntry *entry_of(size_t i) {
    static InboxEntry entry;

    CU_ASSERT_EQUAL_FATAL(inbox_entry_read(span_of(entries[i].data, entries[i].len), &entry), 0);
    return &entry;
}

static void a_message_for_a_queue_elsewhere_goes_into_the_inbox_of_its_shard(void) {
    begin();
    hear(1, queue_in(1, 0), "t");
    publish(1, "t", "x");
    CU_ASSERT_EQUAL_FATAL(n_entries, 1);
    CU_ASSERT_EQUAL(entries[0].shard, 1);
    CU_ASSERT_EQUAL(entry_of(0)->n, 1);
    CU_ASSERT_TRUE(span_is(entry_of(0)->queues[0], queue_in(1, 0)));
    CU_ASSERT_TRUE(span_is(entry_of(0)->message.name, "t"));
    CU_ASSERT_TRUE(span_is(entry_of(0)->message.body, "x"));
    expect_nothing(s);
    answer_sent(0, 0);
    CU_ASSERT_EQUAL(expect_ok(s, 1), 1);
    publish(2, "other", "x");
    CU_ASSERT_EQUAL(expect_ok(s, 2), 0);
    end();
}

static void the_answer_waits_for_all_queues_and_inboxes(void) {
    const char *queue = begin_with_bind();

    hear(1, queue_in(1, 0), "t");
    hear(2, queue_in(2, 0), "t");
    publish(2, "t", "x");
    CU_ASSERT_EQUAL_FATAL(n_entries, 2);
    answer_sent(1, 0);
    end_changes(&shards[0]);
    expect_nothing(s);
    answer_sent(0, 0);
    CU_ASSERT_EQUAL(expect_ok(s, 2), 3);
    CU_ASSERT_EQUAL(count_of(queue, "ready"), 1);
    end();
}

static void a_full_inbox_is_an_error(void) {
    begin();
    hear(1, queue_in(1, 0), "t");
    publish(1, "t", "x");
    answer_sent(0, -EDQUOT);
    expect_error(s, 1, "ferry.Full");
    publish(2, "t", "x");
    answer_sent(1, -EBUSY);
    expect_error(s, 2, "ferry.Overloaded");
    publish(0, "t", "x"); /* the publisher waits for no answer: the miss is counted */
    answer_sent(2, -EDQUOT);
    expect_nothing(s);
    CU_ASSERT_EQUAL(broker.stats.dropped, 1);
    end();
}

static void a_full_queue_elsewhere_refuses_messages(void) {
    const char *queue, *problem;

    begin();
    queue = queue_in(1, 0);
    hear_full(1, queue, "t");
    hear(2, queue_in(2, 0), "t");
    publish(1, "t", "x");
    expect_error(s, 1, "ferry.Full");
    CU_ASSERT_EQUAL(n_entries, 0);
    publish(0, "t", "x"); /* only the full queue misses it */
    CU_ASSERT_EQUAL_FATAL(n_entries, 1);
    CU_ASSERT_EQUAL(entries[0].shard, 2);
    answer_sent(0, 0);
    CU_ASSERT_EQUAL(broker.stats.dropped, 1);
    CU_ASSERT_EQUAL(binds_configure(broker.binds, queue, "t", &problem), 0);
    publish(2, "t", "x");
    expect_error(s, 2, "ferry.Full");
    hear(1, queue, "t");
    publish(3, "t", "x");
    CU_ASSERT_EQUAL(n_entries, 3);
    answer_sent(1, 0);
    answer_sent(2, 0);
    end();
}

/* The announced state of the only bind of shard 0. */
static bool is_announced_full(void) {
    CLEANUP(buffer_deinit) Buffer text = {0};
    Reader reader;
    bool is_full;

    CU_ASSERT_TRUE(relay.user.write_binds(0, &text, relay.user.ctx));
    reader = reader_of(text.data, text.len);
    CU_ASSERT_EQUAL(reader_array(&reader), 1);
    is_full = reader_array(&reader) == 3;
    return is_full;
}

static void a_queue_is_announced_as_full_until_it_has_room(void) {
    const char *queue;

    queue = begin_with_bind();
    configure(queue, "max_jobs", "8");
    for (int i = 0; i < 8; i++)
        push(s, 0, queue, "x", NULL);
    end_changes(&shards[0]);
    CU_ASSERT_FALSE(is_announced_full());
    dirty = 0;
    queues->on_bound_full(queue_find(queues, span_text(queue)), queues->bound_full_ctx);
    CU_ASSERT_TRUE(is_announced_full());
    CU_ASSERT_EQUAL(dirty, 1);
    wait_ms(FULL_LOOK_MS);
    CU_ASSERT_TRUE(is_announced_full());
    dirty = 0;
    pull(s, 10, queue, 1);
    expect_ok(s, 10);
    ack(s, 0, expect_job(s, 10, "x", 1), 1);
    end_changes(&shards[0]);
    wait_ms(FULL_LOOK_MS);
    CU_ASSERT_FALSE(is_announced_full());
    CU_ASSERT_EQUAL(dirty, 1);
    end();
}

static void an_error_says_that_some_queues_may_have_the_message(void) {
    begin_with_bind();
    hear(1, queue_in(1, 0), "t");
    publish(2, "t", "x");
    answer_sent(0, -EDQUOT);
    end_changes(&shards[0]);
    CU_ASSERT_TRUE(fake_take(s)->is_unknown);
    publish(3, "t", "x");
    answer_sent(1, 0);
    let_go(0, true);
    turns_until_gone();
    CU_ASSERT_TRUE(fake_take(s)->is_unknown);
    hear(2, queue_in(2, 0), "t");
    publish(4, "t", "x");
    CU_ASSERT_EQUAL_FATAL(n_entries, 4);
    for (size_t i = 2; i < 4; i++)
        answer_sent(i, -EDQUOT);
    CU_ASSERT_FALSE(fake_take(s)->is_unknown);
    end();
}

static void a_store_that_is_away_refuses_the_message_as_a_whole(void) {
    const char *queue = begin_with_bind();

    hear(1, queue_in(1, 0), "t");
    hear(2, queue_in(2, 0), "t");
    admitted[1] = -EBUSY;
    publish(2, "t", "x");
    expect_error(s, 2, "ferry.Overloaded");
    CU_ASSERT_EQUAL(n_entries, 0);
    CU_ASSERT_EQUAL(count_of(queue, "ready"), 0);
    /* Without an id, only this shard misses the message. */
    publish(0, "t", "x");
    CU_ASSERT_EQUAL(n_entries, 1);
    CU_ASSERT_EQUAL(entries[0].shard, 2);
    CU_ASSERT_EQUAL(broker.stats.dropped, 1);
    answer_sent(0, 0);
    end_changes(&shards[0]);
    CU_ASSERT_EQUAL(count_of(queue, "ready"), 1);
    end();
}

static void the_publisher_may_go_before_the_answer(void) {
    begin();
    hear(1, queue_in(1, 0), "t");
    publish(1, "t", "x");
    end_session(s);
    answer_sent(0, 0);
    end();
}

/* The queue is in the configuration of this broker, and its shard is elsewhere. */
static void a_configured_queue_elsewhere_gets_the_message_once(void) {
    const char *queue, *problem;

    begin();
    queue = queue_in(1, 0);
    CU_ASSERT_EQUAL(binds_configure(broker.binds, queue, "t", &problem), 0);
    publish(1, "t", "x");
    CU_ASSERT_EQUAL_FATAL(n_entries, 1);
    hear(1, queue, "t");
    publish(2, "t", "x");
    CU_ASSERT_EQUAL_FATAL(n_entries, 2);
    CU_ASSERT_EQUAL(entry_of(1)->n, 1);
    answer_sent(0, 0);
    answer_sent(1, 0);
    end();
}

static void a_shard_that_is_here_needs_no_inbox(void) {
    const char *queue = begin_with_bind();

    hear(0, queue, "t"); /* the own announcement */
    publish(2, "t", "x");
    CU_ASSERT_EQUAL(n_entries, 0);
    end_changes(&shards[0]);
    CU_ASSERT_EQUAL(expect_ok(s, 2), 1);
    let_go(0, true);
    turns_until_gone();
    publish(3, "t", "x");
    CU_ASSERT_EQUAL(n_entries, 1);
    answer_sent(0, 0);
    CU_ASSERT_EQUAL(expect_ok(s, 3), 1);
    end();
}

static void an_entry_has_a_maximum_of_queues(void) {
    CLEANUP(buffer_deinit) Buffer text = {0};
    enum { N = 4 * INBOX_QUEUES_MAX };
    size_t n = 0;

    begin();
    for (int i = 0; i < N; i++) { /* about a third of the queues is in the shard */
        char name[16];

        snprintf(name, sizeof(name), "many-%d", i);
        n += shard_of(queues, span_text(name)) == &shards[1].store;
    }
    write_array(&text, (uint32_t)n);
    for (int i = 0; i < N; i++) {
        char name[16];

        snprintf(name, sizeof(name), "many-%d", i);
        if (shard_of(queues, span_text(name)) == &shards[1].store)
            remote_binds_write(&text, span_text(name), span_text("t"), false);
    }
    CU_ASSERT_FATAL(n > INBOX_QUEUES_MAX && n < 2 * INBOX_QUEUES_MAX);
    relay.user.on_binds(1, span_of(text.data, text.len), relay.user.ctx);
    publish(1, "t", "x");
    CU_ASSERT_EQUAL_FATAL(n_entries, 2);
    CU_ASSERT_EQUAL(entry_of(0)->n, INBOX_QUEUES_MAX);
    CU_ASSERT_EQUAL(entry_of(1)->n, n - INBOX_QUEUES_MAX);
    answer_sent(0, 0);
    expect_nothing(s);
    answer_sent(1, 0);
    CU_ASSERT_EQUAL(expect_ok(s, 1), n);
    end();
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(a_message_for_a_queue_elsewhere_goes_into_the_inbox_of_its_shard),
        TEST(the_answer_waits_for_all_queues_and_inboxes),
        TEST(a_full_inbox_is_an_error),
        TEST(a_full_queue_elsewhere_refuses_messages),
        TEST(a_queue_is_announced_as_full_until_it_has_room),
        TEST(an_error_says_that_some_queues_may_have_the_message),
        TEST(a_store_that_is_away_refuses_the_message_as_a_whole),
        TEST(the_publisher_may_go_before_the_answer),
        TEST(a_configured_queue_elsewhere_gets_the_message_once),
        TEST(a_shard_that_is_here_needs_no_inbox),
        TEST(an_entry_has_a_maximum_of_queues),
        TESTS_END,
    };

    return run_suite("broker/admin bind-publish", tests);
}
