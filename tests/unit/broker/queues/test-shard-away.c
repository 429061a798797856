/* SPDX-License-Identifier: Apache-2.0 */
/* Clients ask for queues and jobs whose shard is at another broker, or nowhere. */

#include "unit/broker/queues/shard-store.h"

static void a_push_to_a_queue_at_another_broker_names_that_broker(void) {
    Session *s = set_up();

    push(s, 1, queue_in(1, 0), "x", NULL);
    expect_moved_error(s, 1, "tcp://b:5877");
    push(s, 2, queue_in(2, 0), "x", NULL);
    expect_moved_error(s, 2, NULL);
    CU_ASSERT_EQUAL(queues_count(queues), 0); /* a push makes no queue here */
    push(s, 3, "a..b", "x", NULL);
    expect_error(s, 3, "ferry.InvalidArgument");
    push(s, 4, "ferry.x", "x", NULL);
    expect_error(s, 4, "ferry.PermissionDenied");
    push(s, 5, queue_in(0, 0), "x", NULL);
    end_changes(&shards[0]);
    expect_ok(s, 5);
    tear_down();
}

static void a_pull_without_wait_is_refused_and_one_with_wait_stays(void) {
    Session *s = set_up();
    const char *queue = queue_in(1, 0);

    pull(s, 1, queue, 1);
    expect_moved_error(s, 1, "tcp://b:5877");
    pull_and_wait(s, 2, queue, 2);
    expect_ok(s, 2);
    expect_moved(s, queue, "tcp://b:5877");
    pull_and_wait(s, 3, queue_in(2, 0), 1);
    expect_ok(s, 3);
    expect_nothing(s);

    set_owner(1, "tcp://c:5877");
    rooms_turn_end(&broker);
    expect_moved(s, queue, "tcp://c:5877");
    rooms_turn_end(&broker);
    expect_nothing(s);

    shards[1].jobs[shards[1].n++] = (KeptJob){.id = 64 + 2, .body = "first"};
    shards[1].jobs[shards[1].n++] = (KeptJob){.id = 128 + 2, .body = "second"};
    for (size_t i = 0; i < 2; i++)
        snprintf(shards[1].jobs[i].queue, sizeof(shards[1].jobs[i].queue), "%s", queue);
    adopt(1);
    expect_job(s, 2, "first", 1);
    expect_job(s, 2, "second", 1);
    tear_down();
}

static void a_settlement_of_a_job_that_is_elsewhere_names_the_broker(void) {
    Session *s = set_up();

    ack(s, 1, 64 + 2, 1);
    expect_moved_error(s, 1, "tcp://b:5877");
    retry(s, 2, 64 + 3, 1, 0, "");
    expect_moved_error(s, 2, NULL);
    ack(s, 3, 64 + 1, 1); /* a job that shard 0 does not have */
    expect_error(s, 3, "ferry.LeaseLost");
    ack(s, 4, 64 + 63, 1); /* a job in no shard */
    expect_error(s, 4, "ferry.LeaseLost");
    tear_down();
}

static void a_job_is_not_forwarded_to_a_queue_that_is_elsewhere(void) {
    Session *s = set_up();
    const char *queue = queue_in(0, 0);
    uint64_t job;

    push(s, 1, queue, "x", NULL);
    end_changes(&shards[0]);
    expect_ok(s, 1);
    pull(s, 2, queue, 1);
    expect_ok(s, 2);
    job = expect_job(s, 2, "x", 1);
    forward(s, 3, job, 1, queue_in(1, 0), "y");
    expect_moved_error(s, 3, "tcp://b:5877");
    CU_ASSERT_EQUAL(count_of(queue, "delayed"), 1); /* as after a RETRY */
    tear_down();
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(a_push_to_a_queue_at_another_broker_names_that_broker),
        TEST(a_pull_without_wait_is_refused_and_one_with_wait_stays),
        TEST(a_settlement_of_a_job_that_is_elsewhere_names_the_broker),
        TEST(a_job_is_not_forwarded_to_a_queue_that_is_elsewhere),
        TESTS_END,
    };

    return run_suite("queues whose shard is away", tests);
}
