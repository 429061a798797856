/* SPDX-License-Identifier: Apache-2.0 */
/* Binds that commands make and remove in a cluster: all brokers know them before the answer. */

#include "broker/admin/binds.h"

#include <errno.h>

#include "unit/broker/admin/fake-relay.h"

static void a_bind_is_answered_when_all_brokers_know_it(void) {
    const char *queue;

    begin();
    queue = queue_in(0, 0);
    CU_ASSERT_EQUAL(bind_queue(1, queue, "t"), QUEUES_LATER);
    CU_ASSERT_EQUAL(dirty, 1);
    CU_ASSERT_EQUAL(n_announced(0), 1);
    expect_nothing(s);
    CU_ASSERT_EQUAL(shards[0].n_facts, 0);
    relay.user.on_known(announced - 1, relay.user.ctx);
    expect_nothing(s);
    all_know();
    expect_ok(s, 1);
    CU_ASSERT_EQUAL(shards[0].n_facts, 1);
    end();
}

static void an_unbind_is_answered_when_all_brokers_know_it(void) {
    const char *queue = begin_with_bind();

    CU_ASSERT_EQUAL(unbind_queue(2, queue, "t"), QUEUES_LATER);
    CU_ASSERT_EQUAL(n_announced(0), 0);
    expect_nothing(s);
    publish(3, "t", "x");
    CU_ASSERT_EQUAL(expect_ok(s, 3), 0);
    CU_ASSERT_NOT_EQUAL(shards[0].facts[0].n_value, 0);
    all_know();
    expect_ok(s, 2);
    CU_ASSERT_EQUAL(shards[0].facts[0].n_value, 0);
    CU_ASSERT_EQUAL(unbind_queue(4, queue, "t"), -ENOENT);
    CU_ASSERT_EQUAL(broker.n_binds, 0);
    end();
}

static void a_bind_and_an_unbind_end_in_their_order(void) {
    const char *queue;

    begin();
    queue = queue_in(0, 0);
    bind_queue(1, queue, "t");
    CU_ASSERT_EQUAL(unbind_queue(2, queue, "t"), -ENOENT); /* not bound yet */
    all_know();
    expect_ok(s, 1);
    unbind_queue(3, queue, "t");
    bind_queue(4, queue, "t");
    all_know();
    expect_ok(s, 3);
    expect_ok(s, 4);
    CU_ASSERT_EQUAL(n_announced(0), 1);
    CU_ASSERT_EQUAL(broker.n_binds, 1);
    CU_ASSERT_NOT_EQUAL(shards[0].facts[0].n_value, 0);
    end();
}

static void a_change_whose_shard_leaves_is_answered_with_moved(void) {
    const char *queue;

    begin();
    queue = queue_in(0, 0);
    bind_queue(1, queue, "t");
    let_go(0, true);
    set_owner(0, "tcp://b:1");
    all_know();
    expect_moved_error(s, 1, "tcp://b:1");
    CU_ASSERT_EQUAL(broker.n_binds, 0);
    turns_until_gone();
    end();
}

static void a_session_that_is_gone_gets_no_answer(void) {
    const char *queue;

    begin();
    queue = queue_in(0, 0);
    bind_queue(1, queue, "t");
    end_session(s);
    all_know();
    CU_ASSERT_EQUAL(shards[0].n_facts, 1);
    end();
}

static void binds_move_with_their_shard(void) {
    const char *queue = begin_with_bind();

    hear(0, queue, "t"); /* the own announcement */
    let_go(0, true);
    turns_until_gone();
    CU_ASSERT_EQUAL(n_announced(0), -1);
    adopt(0);
    CU_ASSERT_EQUAL(n_announced(0), 1);
    end();
}

/* The last broker of the shard has announced a bind, but not kept it. */
static void an_announcement_that_is_not_right_is_replaced(void) {
    begin();
    hear(0, queue_in(0, 0), "t");
    CU_ASSERT_EQUAL(dirty, 1);
    CU_ASSERT_EQUAL(n_announced(0), 0);
    dirty = 0;
    hear(0, NULL, NULL);
    CU_ASSERT_EQUAL(dirty, 0);
    end();
}

static void changes_under_way_have_a_maximum(void) {
    const char *queue;

    begin();
    queue = queue_in(0, 0);
    for (uint64_t i = 1; i <= BIND_CHANGES_MAX; i++)
        CU_ASSERT_EQUAL(bind_queue(i, queue, "t"), QUEUES_LATER);
    CU_ASSERT(bind_queue(BIND_CHANGES_MAX + 1, queue, "t") < 0);
    all_know();
    CU_ASSERT_EQUAL(fake_n_sent(s), BIND_CHANGES_MAX);
    end();
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(a_bind_is_answered_when_all_brokers_know_it),
        TEST(an_unbind_is_answered_when_all_brokers_know_it),
        TEST(a_bind_and_an_unbind_end_in_their_order),
        TEST(a_change_whose_shard_leaves_is_answered_with_moved),
        TEST(a_session_that_is_gone_gets_no_answer),
        TEST(binds_move_with_their_shard),
        TEST(an_announcement_that_is_not_right_is_replaced),
        TEST(changes_under_way_have_a_maximum),
        TESTS_END,
    };

    return run_suite("broker/admin bind-changes", tests);
}
