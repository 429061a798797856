/* SPDX-License-Identifier: Apache-2.0 */
/* Queues that come back from their stores after a restart, and reports of queues to the stores. */

#include "unit/broker/queues/slow-store.h"

static void stores_are_opened_and_restored_in_slices(void) {
    Waker waker;
    int n = 0, r;

    set_up();
    shared.n_restore = 5; /* one slice has restored job 16 */
    CU_ASSERT_EQUAL(queues_open_stores(queues, &waker, NULL), 0);
    CU_ASSERT_PTR_EQUAL(slow.waker, &waker);
    while ((r = queues_restore(queues, NULL)) > 0 && n < 10)
        n++;
    CU_ASSERT_EQUAL(r, 0);
    CU_ASSERT_EQUAL(n, 2);
    CU_ASSERT_EQUAL(slow.n_restore, 3);
    CU_ASSERT_EQUAL(slow.n, 0);
    CU_ASSERT_EQUAL(queues_restore_queue(queues, &slow.store, span_text("disk.p"), true), 0);
    CU_ASSERT_TRUE(queue_find(queues, span_text("disk.p"))->paused);
    CU_ASSERT_EQUAL(queues_pause(queues, span_text("disk.p"), false, NULL, 0), QUEUES_LATER);
    CU_ASSERT_EQUAL(slow.n_pause, 1);
    teardown();
}

/* Records of keys that max_keys has ended are in the store until their time. */
static void no_more_than_max_keys_come_back(void) {
    Session *s = set_up();
    char key[] = "k0";

    configure("disk.q", "max_keys", "2");
    for (uint64_t i = 0; i < 4; i++) {
        key[1] = (char)('0' + i);
        CU_ASSERT_EQUAL(
            queues_restore_key(queues, span_text("disk.q"), span_text(key), broker.now_ms + 50 + i),
            0);
    }
    CU_ASSERT_EQUAL(queue_find(queues, span_text("disk.q"))->n_keys, 2);
    /* k2 was ended, and used again. */
    CU_ASSERT_EQUAL(
        queues_restore_key(queues, span_text("disk.q"), span_text("k2"), broker.now_ms + 60), 0);
    wait_ms(55);
    push(s, 1, "disk.q", "x", "key", "k2", NULL);
    expect_outcome(s, 1, PUSH_DUPLICATE);
    push(s, 2, "disk.q", "x", "key", "k1", NULL);
    finish(1, 0);
    CU_ASSERT_NOT_EQUAL(expect_ok(s, 2), 0);
    configure("disk.q", "max_keys", "1");
    push(s, 3, "disk.q", "x", "key", "k1", NULL);
    expect_outcome(s, 3, PUSH_DUPLICATE);
    CU_ASSERT_EQUAL(queue_find(queues, span_text("disk.q"))->n_keys, 1);
    teardown();
}

static void jobs_come_back_as_they_were(void) {
    static const uint8_t held[] = {0x92, 0x92, 101, 3, 0x92, 102, 1};
    Message content = {.body = span_text("x")};
    StoredJob *job, as;
    Session *s = set_up();
    uint64_t key;

    memset(&key, 's', sizeof(key));
    key |= 1; /* the form in which the router itself identifies this client */
    as = (StoredJob){.id = 100, .pushed_ms = 5, .priority = 2};
    CU_ASSERT_EQUAL(queues_restore_job(queues, &slow.store, span_text("disk.q"), &as,
                                       (Span){NULL, 0}, &content, &job),
                    0);
    as = (StoredJob){.id = 101, .attempt = 3, .worker = key, .held = true};
    CU_ASSERT_EQUAL(queues_restore_job(queues, &slow.store, span_text("disk.q"), &as,
                                       (Span){NULL, 0}, &content, &job),
                    0);
    CU_ASSERT_EQUAL(queues_restore_job(queues, &slow.store, span_text("disk.q"), &as,
                                       (Span){NULL, 0}, &content, &job),
                    -EEXIST);
    as = (StoredJob){.id = 102, .attempt = 1, .worker = key + 2, .held = true};
    CU_ASSERT_EQUAL(queues_restore_job(queues, &slow.store, span_text("disk.q"), &as,
                                       (Span){NULL, 0}, &content, &job),
                    0);
    as = (StoredJob){.id = 103, .due_ms = broker.now_ms + 100};
    CU_ASSERT_EQUAL(queues_restore_job(queues, &slow.store, span_text("disk.q"), &as,
                                       (Span){NULL, 0}, &content, &job),
                    0);
    as.id = 104;
    CU_ASSERT_EQUAL(queues_restore_job(queues, &slow.store, span_text("a b"), &as, (Span){NULL, 0},
                                       &content, &job),
                    -EINVAL);
    as.id = 0;
    CU_ASSERT_EQUAL(queues_restore_job(queues, &slow.store, span_text("disk.q"), &as,
                                       (Span){NULL, 0}, &content, &job),
                    -EEXIST);
    CU_ASSERT_EQUAL(
        queues_restore_key(queues, span_text("disk.q"), span_text("k"), broker.now_ms + 50), 0);
    CU_ASSERT_EQUAL(queues_restore_key(queues, span_text("disk.q"), (Span){NULL, 0}, 9), -EINVAL);
    CU_ASSERT_EQUAL(slow.n, 0);

    {
        CLEANUP(buffer_deinit) Buffer kept = {0};

        queues_held(queues, s->client, span_of(held, sizeof(held)), &kept);
        CU_ASSERT_TRUE(kept.len > 0);
    }
    push(s, 1, "disk.q", "x", "key", "k", NULL);
    CU_ASSERT_EQUAL(expect_ok(s, 1), 0);
    wait_ms(1999);
    CU_ASSERT_EQUAL(count_of("disk.q", "held"), 2);
    wait_ms(1);
    CU_ASSERT_EQUAL(count_of("disk.q", "held"), 1); /* the job that its worker has listed */
    CU_ASSERT_EQUAL(count_of("disk.q", "ready"), 3);
    ack(s, 2, 101, 3);
    finish(1, 0);
    expect_ok(s, 2);
    push(s, 3, "disk.q", "x", NULL);
    finish(1, 0);
    CU_ASSERT_EQUAL(expect_ok(s, 3), 104); /* job the numbers continue */
    teardown();
}

static void a_store_is_told_of_a_forgotten_queue(void) {
    Session *s;

    setup();
    teardown();
    s = set_up();
    queues_reload(queues);
    queues_reloaded(queues, true);
    push(s, 0, "q", "x", NULL);
    teardown();
    CU_ASSERT_EQUAL(slow.n_gone, 0);
    s = set_up();
    push(s, 0, "disk.q", "x", NULL);
    finish(1, 0);
    teardown();
    CU_ASSERT_EQUAL(slow.n_gone, 0); /* a broker that ends does not forget its queues */
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(stores_are_opened_and_restored_in_slices),
        TEST(no_more_than_max_keys_come_back),
        TEST(jobs_come_back_as_they_were),
        TEST(a_store_is_told_of_a_forgotten_queue),
        TESTS_END,
    };

    return run_suite("broker queues: restored from stores", tests);
}
