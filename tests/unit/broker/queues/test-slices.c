/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/broker/queues/verbs.h"

/* Thousands of jobs or keys are handled in slices, one in each turn. */

enum { MANY = 2000, SLICE = 512 };

static Session *s;

static void push_many(const char *option, uint64_t value) {
    for (int i = 0; i < MANY; i++)
        push(s, 0, "q", "x", option, value, NULL);
}

static void a_turn(void) {
    queues_run_timers(queues);
    rooms_turn_end(&broker);
}

/* Runs turns until the number is reached, and returns how many. No turn may add more than a slice
 * to it. */
static int turns_until(const char *queue, const char *what, uint64_t wanted) {
    uint64_t n = 0, before = 0;
    int turns = 0;

    for (; n != wanted && turns < 100; turns++) {
        a_turn();
        n = count_of(queue, what);
        n = n == UINT64_MAX ? 0 : n;
        CU_ASSERT(n <= before + SLICE);
        before = n;
    }
    return turns;
}

static void jobs_due_at_the_same_time_become_ready_in_slices_and_in_order(void) {
    uint64_t last = 0;
    bool in_order = true;

    setup();
    s = fake_connect(&broker, 's');
    push_many("delay", 50);
    pull(s, 1, "q", MANY);
    expect_ok(s, 1);
    wait_ms(49);
    expect_nothing(s);
    CU_ASSERT(rooms_next_ms(&broker) <= broker.now_ms + 1);
    broker.now_ms++;
    CU_ASSERT(turns_until("q", "held", MANY) >= MANY / SLICE);
    CU_ASSERT_EQUAL(rooms_next_ms(&broker), UINT64_MAX);
    for (int i = 0; i < MANY; i++) {
        uint64_t job = fake_take(s)->message.job.job;

        in_order &= job > last;
        last = job;
    }
    CU_ASSERT_TRUE(in_order);
    teardown();
}

static void expired_jobs_are_not_delivered_before_their_timers_run(void) {
    setup();
    s = fake_connect(&broker, 's');
    push_many("ttl", 50);
    push(s, 0, "q", "good", NULL);
    broker.now_ms += 50;
    pull(s, 1, "q", 5);
    expect_ok(s, 1);
    expect_nothing(s);
    CU_ASSERT(turns_until("q.dead", "ready", MANY) >= MANY / SLICE);
    expect_job(s, 1, "good", 1);
    expect_nothing(s);
    CU_ASSERT_EQUAL(count_of("q", "expired"), MANY);
    teardown();
}

static void a_key_ends_in_time_while_thousands_of_keys_end(void) {
    char key[16];

    setup();
    configure("q", "dedup", "100ms");
    s = fake_connect(&broker, 's');
    for (int i = 0; i < MANY; i++) {
        snprintf(key, sizeof(key), "%d", i);
        push(s, 0, "q", "x", "key", key, NULL);
    }
    push(s, 0, "q", "x", "key", key, NULL);
    CU_ASSERT_EQUAL(count_of("q", "ready"), MANY);
    fake_advance(&broker, 100);
    push(s, 0, "q", "x", "key", key, NULL);
    CU_ASSERT_EQUAL(count_of("q", "ready"), MANY + 1);
    fake_advance(&broker, 50);
    for (int i = 0; i < MANY; i++) {
        snprintf(key, sizeof(key), "%d", i);
        push(s, 0, "q", "x", "key", key, NULL);
    }
    CU_ASSERT_EQUAL(count_of("q", "ready"), 2 * MANY);
    teardown();
}

static void is_delivered_in_order(void) {
    Session *next = fake_connect(&broker, 'n');
    uint64_t last = 0;
    bool in_order = true;

    pull(next, 1, "q", MANY);
    expect_ok(next, 1);
    CU_ASSERT_EQUAL(fake_n_sent(next), MANY);
    for (int i = 0; i < MANY && fake_n_sent(next) > 0; i++) {
        uint64_t job = fake_take(next)->message.job.job;

        in_order &= job > last;
        last = job;
    }
    CU_ASSERT_TRUE(in_order);
}

static void lost_deliveries_of_many_workers_come_back_in_slices_and_in_order(void) {
    Session *two;

    setup();
    s = fake_connect(&broker, 's');
    two = fake_connect(&broker, 't');
    pull(s, 1, "q", MANY);
    pull(two, 1, "q", MANY);
    fake_drop(s);
    fake_drop(two);
    push_many(NULL, 0);
    CU_ASSERT_EQUAL(fake_n_sent(s), MANY / 2);
    CU_ASSERT_EQUAL(fake_n_sent(two), MANY / 2);
    end_session(two);
    wait_ms(100);
    end_session(s);
    wait_ms(399);
    CU_ASSERT_EQUAL(count_of("q", "ready"), 0);
    wait_ms(1);
    CU_ASSERT_EQUAL(count_of("q", "ready"), SLICE);
    wait_ms(1);
    CU_ASSERT_EQUAL(count_of("q", "ready"), MANY / 2);
    wait_ms(99);
    CU_ASSERT_EQUAL(count_of("q", "ready"), MANY / 2 + SLICE);
    wait_ms(1);
    CU_ASSERT_EQUAL(count_of("q", "ready"), MANY);
    is_delivered_in_order();
    teardown();
}

static void a_client_that_leaves_returns_thousands_of_jobs_in_slices(void) {
    setup();
    s = fake_connect(&broker, 's');
    pull(s, 1, "q", MANY);
    push_many(NULL, 0);
    say_bye(s);
    CU_ASSERT_EQUAL(count_of("q", "ready"), SLICE);
    CU_ASSERT_EQUAL(count_of("q", "held"), MANY - SLICE);
    wait_ms(3);
    CU_ASSERT_EQUAL(count_of("q", "ready"), MANY);
    is_delivered_in_order();
    teardown();
}

static void jobs_returned_out_of_order_cost_a_bounded_search(void) {
    setup();
    s = fake_connect(&broker, 's');
    pull(s, 1, "q", MANY);
    push_many(NULL, 0);
    unpull(s, 2, 1);
    /* Return the lowest and the highest job by turns. */
    for (uint64_t low = 1, high = MANY; low < high; low++, high--) {
        release(s, 0, high, 1);
        release(s, 0, low, 1);
    }
    CU_ASSERT_EQUAL(count_of("q", "ready"), MANY);
    fake_drop(s);
    pull(s, 3, "q", MANY);
    expect_ok(s, 3);
    CU_ASSERT_EQUAL(fake_n_sent(s), MANY);
    teardown();
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(jobs_due_at_the_same_time_become_ready_in_slices_and_in_order),
        TEST(expired_jobs_are_not_delivered_before_their_timers_run),
        TEST(a_key_ends_in_time_while_thousands_of_keys_end),
        TEST(lost_deliveries_of_many_workers_come_back_in_slices_and_in_order),
        TEST(a_client_that_leaves_returns_thousands_of_jobs_in_slices),
        TEST(jobs_returned_out_of_order_cost_a_bounded_search),
        TESTS_END,
    };

    return run_suite("broker queues in slices", tests);
}
