/* SPDX-License-Identifier: Apache-2.0 */
/* Pushes to shards that moved: each is stored once, in the order of its client. */

#include "unit/broker/queues/shard-store.h"

/* ---- the order of pushes ---- */

/* A push of a client that has got the answer ferry.Moved with this number; 0: the client has got no
 * such answer. */
static void push_after(Session *s, uint64_t id, const char *queue, uint64_t moved) {
    uint8_t options[] = {0x81, 0xA5, 'm', 'o', 'v', 'e', 'd', (uint8_t)moved};

    queues_push(queues, s,
                &(Message){.op = OP_PUSH,
                           .id = id,
                           .name = span_text(queue),
                           .body = span_text("x"),
                           .push.flags = PUSH_COUNTS,
                           .push.options = span_of(options, moved > 0 ? sizeof(options) : 0)},
                NULL);
}

/* The push is refused with this number; is_here: by the broker that has the queue. */
static void expect_number(Session *s, uint64_t id, uint64_t number, bool is_here) {
    const FakeSent *sent = fake_peek(s);

    CU_ASSERT_PTR_NOT_NULL_FATAL(sent);
    CU_ASSERT_EQUAL(sent->moved, number);
    CU_ASSERT_EQUAL(memcmp(sent->owner, broker.id, WIRE_TOKEN) == 0, is_here);
    expect_error(s, id, "ferry.Moved");
}

static void pushes_on_their_way_do_not_overtake_one_that_was_refused(void) {
    Session *s = set_up(), *other = fake_connect(&broker, 'o');
    const char *queue = queue_in(2, 0);

    memset(broker.id, 'b', sizeof(broker.id));
    push_after(s, 1, queue, 0);
    push_after(s, 2, queue_in(1, 0), 0);
    expect_number(s, 1, 1, false);
    expect_number(s, 2, 2, false);
    adopt(2);
    push_after(s, 3, queue, 0);
    expect_number(s, 3, 3, true);
    push_after(s, 4, queue, 1);
    expect_number(s, 4, 4, true);
    push_after(s, 5, queue_in(0, 0), 0); /* no push to this shard was refused */
    end_changes(&shards[0]);
    expect_ok(s, 5);
    push_after(s, 1, queue, 4);
    push_after(s, 3, queue, 4);
    push_after(other, 1, queue, 0);
    push(s, 6, queue, "x", NULL); /* as of a client that does not count */
    end_changes(&shards[2]);
    expect_ok(s, 1);
    expect_ok(s, 3);
    expect_ok(s, 6);
    expect_ok(other, 1);
    tear_down();
    CU_ASSERT_EQUAL(broker.budget.bytes[BUDGET_QUEUES], 0);
}

static void a_push_that_leaves_with_its_shard_is_counted(void) {
    Session *s = set_up();
    const char *queue = queue_in(0, 0);

    memset(broker.id, 'b', sizeof(broker.id));
    push_after(s, 1, queue, 0);
    let_go(0, false);
    expect_number(s, 1, 1, false);
    turns_until_gone();
    adopt(0);
    push_after(s, 2, queue, 0);
    expect_number(s, 2, 2, true);
    push_after(s, 1, queue, 2);
    push_after(s, 2, queue, 2);
    end_changes(&shards[0]);
    expect_ok(s, 1);
    expect_ok(s, 2);
    tear_down();
}

/* ---- pushes of another broker's client ---- */

static void a_push_with_an_origin_is_stored_once(void) {
    Session *s = set_up();
    const char *queue = queue_in(0, 0);

    push(s, 7, queue, "x", "origin", "o", NULL);
    push(s, 7, queue, "x", "origin", "o", NULL); /* while it is being stored */
    end_changes(&shards[0]);
    expect_ok(s, 7);
    expect_nothing(s);
    push(s, 7, queue, "x", "origin", "o", NULL);
    expect_outcome(s, 7, PUSH_STORED_BEFORE);
    push(s, 7, queue, "x", "origin", "p", NULL); /* another client's push 7 */
    push(s, 7, queue, "x", NULL);                /* and the session's own */
    end_changes(&shards[0]);
    expect_ok(s, 7);
    expect_ok(s, 7);
    CU_ASSERT_EQUAL(count_of(queue, "ready"), 3);
    push(s, 8, queue, "x", "origin", "!", NULL);
    expect_error(s, 8, "ferry.PermissionDenied");
    tear_down();
}

/* The client pushed through the broker that had the shard before, and sends the push again here. */
static void a_push_with_an_origin_is_known_after_the_adoption(void) {
    Session *s;
    const char *queue;

    set_up();
    queue = queue_in(0, 0);
    s = fake_connect(&broker, 'l');
    push(s, 7, queue, "x", NULL);
    end_changes(&shards[0]);
    expect_ok(s, 7);
    tear_down();

    begin_broker(); /* another broker */
    s = fake_connect(&broker, 'm');
    adopt(0);
    push(s, 7, queue, "x", "origin", "l", NULL);
    expect_outcome(s, 7, PUSH_STORED_BEFORE);
    push(s, 8, queue, "y", "origin", "l", NULL);
    end_changes(&shards[0]);
    expect_ok(s, 8);
    tear_down();

    begin_broker(); /* the client is known before its pushes come */
    s = fake_connect(&broker, 'l');
    adopt(0);
    push(s, 8, queue, "y", NULL);
    expect_outcome(s, 8, PUSH_STORED_BEFORE);
    tear_down();
}

/* Each adoption gives the clients of its pushes the whole time to come back. */
static void pushes_are_remembered_from_their_adoption_on(void) {
    Session *s = set_up();
    const char *first = queue_in(0, 0), *second = queue_in(1, 0);

    adopt(1);
    s = fake_connect(&broker, 'l');
    push(s, 7, first, "x", NULL);
    push(s, 8, second, "x", NULL);
    end_changes(&shards[0]);
    end_changes(&shards[1]);
    tear_down();

    begin_broker();
    s = fake_connect(&broker, 'm');
    adopt(0);
    wait_ms(broker.limits.client_memory_ms - 10);
    adopt(1);
    wait_ms(20);
    push(s, 8, second, "x", "origin", "l", NULL);
    expect_outcome(s, 8, PUSH_STORED_BEFORE);
    tear_down();
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(pushes_on_their_way_do_not_overtake_one_that_was_refused),
        TEST(a_push_that_leaves_with_its_shard_is_counted),
        TEST(a_push_with_an_origin_is_stored_once),
        TEST(a_push_with_an_origin_is_known_after_the_adoption),
        TEST(pushes_are_remembered_from_their_adoption_on),
        TESTS_END,
    };

    return run_suite("pushes to shards that moved", tests);
}
