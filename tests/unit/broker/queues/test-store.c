/* SPDX-License-Identifier: Apache-2.0 */
/* A store that finishes later, as one on a disk does; and fails when it is told to. */

#include "broker/stores/store.h"
#include "unit/broker/queues/verbs.h"

enum { CHANGES_MAX = 64 };

typedef struct SlowStore {
    Store store;
    StoredJob *changes[CHANGES_MAX]; /* under way, in order */
    size_t n;
    size_t n_push, n_remove, n_replace, n_note, n_gone;
    int refuse; /* what the next change returns at once; 0: later */
    uint8_t known_client[WIRE_TOKEN];
    uint64_t known_id; /* pushed in an earlier life */
    bool knows_all;
    StoredPush last_push;
} SlowStore;

static SlowStore slow;

static int begin(StoredJob *job) {
    int r = slow.refuse;

    slow.refuse = 0;
    if (r < 0)
        return r;
    CU_ASSERT_FATAL(slow.n < CHANGES_MAX);
    slow.changes[slow.n++] = job;
    return STORE_LATER;
}

static int slow_push(Store *store, StoredJob *job, const StoredPush *by) {
    (void)store;
    slow.n_push++;
    slow.last_push = *by;
    return begin(job);
}

static int slow_remove(Store *store, StoredJob *job) {
    (void)store;
    slow.n_remove++;
    return begin(job);
}

static int slow_replace(Store *store, StoredJob *old, StoredJob *job, const StoredPush *by) {
    (void)store, (void)old, (void)by;
    slow.n_replace++;
    return begin(job);
}

static void slow_note(Store *store, StoredJob *job) {
    (void)store, (void)job;
    slow.n_note++;
}

static bool slow_has_push(Store *store, const StoredPush *by) {
    (void)store;
    return slow.knows_all ||
           (by->id == slow.known_id && memcmp(by->client, slow.known_client, WIRE_TOKEN) == 0);
}

static void slow_queue_gone(Store *store, StoredQueue *queue) {
    (void)store, (void)queue;
    slow.n_gone++;
}

static const StoreOps slow_ops = {
    .durability = "disk",
    .later = true,
    .push = slow_push,
    .remove = slow_remove,
    .replace = slow_replace,
    .note = slow_note,
    .has_push = slow_has_push,
    .queue_gone = slow_queue_gone,
};

/* The next n changes end so. */
static void finish(size_t n, int result) {
    for (; n > 0; n--) {
        StoredJob *job = slow.changes[0];

        CU_ASSERT_FATAL(slow.n > 0);
        memmove(slow.changes, slow.changes + 1, --slow.n * sizeof(*slow.changes));
        slow.store.done(job, result, slow.store.ctx);
    }
    rooms_turn_end(&broker);
}

static Session *set_up(void) {
    setup();
    slow = (SlowStore){.store = {.ops = &slow_ops}};
    CU_ASSERT_EQUAL(queues_add_store(queues, &slow.store), 0);
    configure("disk.>", "durability", "disk");
    configure("disk.*.dead", "durability", "disk");
    return fake_connect(&broker, 's');
}

static void a_push_is_confirmed_and_delivered_when_it_is_stored(void) {
    Session *s;

    setup();
    teardown();
    s = set_up();
    pull(s, 1, "disk.q", 5);
    expect_ok(s, 1);
    push(s, 2, "disk.q", "one", NULL);
    push(s, 3, "disk.q", "two", NULL);
    expect_nothing(s);
    finish(2, 0);
    expect_ok(s, 2);
    expect_job(s, 1, "one", 1);
    expect_ok(s, 3);
    expect_job(s, 1, "two", 1);
    CU_ASSERT_EQUAL(slow.n_note, 2);
    teardown();
}

static void a_push_that_was_not_stored_is_an_error(void) {
    Session *s = set_up();

    push(s, 1, "disk.q", "x", "key", "k", NULL);
    push(s, 2, "disk.q", "x", "key", "k", NULL);
    expect_error(s, 2, "ferry.Overloaded"); /* nobody knows yet whether it is a duplicate */
    finish(1, -EIO);
    expect_error(s, 1, "ferry.Internal");
    slow.refuse = -EIO;
    push(s, 3, "disk.q", "x", "key", "k", NULL);
    expect_error(s, 3, "ferry.Internal");
    CU_ASSERT_EQUAL(count_of("disk.q", "ready"), 0);
    CU_ASSERT_EQUAL(count_of("disk.q", "bytes"), 0);
    /* The key was not used up. */
    push(s, 4, "disk.q", "x", "key", "k", NULL);
    CU_ASSERT_TRUE(span_is(slow.last_push.key, "k"));
    finish(1, 0);
    CU_ASSERT_NOT_EQUAL(expect_ok(s, 4), 0);
    push(s, 5, "disk.q", "x", "key", "k", NULL);
    CU_ASSERT_EQUAL(expect_ok(s, 5), 0);
    /* Nor is it remembered as pushed. */
    queues_push(
        queues, s,
        &(Message){.op = OP_PUSH, .id = 3, .push.flags = PUSH_AGAIN, .name = span_text("disk.q")},
        NULL);
    finish(1, 0);
    CU_ASSERT_NOT_EQUAL(expect_ok(s, 3), 0);
    teardown();
}

static void a_key_may_end_before_its_job_is_stored(void) {
    Session *s = set_up();

    configure("disk.q", "dedup", "10ms");
    push(s, 1, "disk.q", "x", "key", "k", NULL);
    wait_ms(20);
    finish(1, -EIO);
    expect_error(s, 1, "ferry.Internal");
    teardown();
}

static void an_ack_is_confirmed_when_the_job_is_forgotten(void) {
    Session *s = set_up();

    push(s, 0, "disk.q", "one", NULL);
    push(s, 0, "disk.q", "two", NULL);
    finish(2, 0);
    pull(s, 1, "disk.q", 1);
    expect_ok(s, 1);
    expect_job(s, 1, "one", 1);
    ack(s, 2, 1, 1);
    expect_job(s, 1, "two", 1); /* the slot does not wait for the disk */
    expect_nothing(s);
    ack(s, 3, 1, 1);
    expect_error(s, 3, "ferry.LeaseLost");
    finish(1, 0);
    expect_ok(s, 2);
    ack(s, 4, 2, 1);
    finish(1, -EIO);
    expect_error(s, 4, "ferry.Internal");
    expect_job(s, 1, "two", 2);
    teardown();
}

static void a_push_sent_again_meanwhile_is_answered_once(void) {
    Message again = {.op = OP_PUSH, .push.flags = PUSH_AGAIN, .id = 7, .name = span_text("disk.q")};
    Session *s = set_up();

    push(s, 7, "disk.q", "x", NULL);
    end_session(s);
    s = fake_connect(&broker, 's');
    queues_push(queues, s, &again, NULL);
    expect_nothing(s);
    finish(1, 0);
    expect_ok(s, 7);
    expect_nothing(s);
    queues_push(queues, s, &again, NULL);
    CU_ASSERT_EQUAL(expect_ok(s, 7), 0);
    CU_ASSERT_EQUAL(count_of("disk.q", "ready"), 1);
    teardown();
}

static void sessions_and_clients_may_go_meanwhile(void) {
    Session *s = set_up(), *t = fake_connect(&broker, 't');

    push(s, 1, "disk.q", "x", NULL);
    push(t, 1, "disk.q", "y", NULL);
    end_session(s);
    say_bye(t);
    finish(2, 0);
    CU_ASSERT_EQUAL(count_of("disk.q", "ready"), 2);
    s = fake_connect(&broker, 's');
    queues_push(
        queues, s,
        &(Message){.op = OP_PUSH, .id = 1, .push.flags = PUSH_AGAIN, .name = span_text("disk.q")},
        NULL);
    CU_ASSERT_EQUAL(expect_ok(s, 1), 0);
    /* And the broker may. */
    push(s, 2, "disk.q", "z", "key", "k", NULL);
    pull(s, 3, "disk.q", 5);
    ack(s, 4, 1, 1);
    forward(s, 5, 2, 1, "disk.r", "zz");
    CU_ASSERT_EQUAL(slow.n, 3);
    teardown();
}

static void a_push_of_an_earlier_life_is_known(void) {
    Message again = {.op = OP_PUSH, .push.flags = PUSH_AGAIN, .id = 7, .name = span_text("disk.q")};
    Session *s = set_up();

    memset(slow.known_client, 's', WIRE_TOKEN);
    slow.known_id = 7;
    queues_push(queues, s, &again, NULL);
    CU_ASSERT_EQUAL(expect_ok(s, 7), 0);
    again.id = 8;
    queues_push(queues, s, &again, NULL);
    CU_ASSERT_EQUAL(slow.n_push, 1);
    teardown();
}

static void forward_is_one_change(void) {
    Session *s = set_up();

    push(s, 0, "disk.q", "x", NULL);
    finish(1, 0);
    pull(s, 1, "disk.q", 1);
    pull(s, 2, "disk.r", 1);
    fake_drop(s);
    forward(s, 3, 1, 1, "disk.r", "y");
    CU_ASSERT_EQUAL(slow.n_replace, 1);
    CU_ASSERT_EQUAL(slow.n_remove, 0);
    expect_nothing(s);
    finish(1, -EIO);
    expect_error(s, 3, "ferry.Internal");
    expect_job(s, 1, "x", 2);
    forward(s, 4, 1, 2, "disk.r", "y");
    finish(1, 0);
    expect_ok(s, 4);
    expect_job(s, 2, "y", 1);
    CU_ASSERT_EQUAL(count_of("disk.q", "held"), 0);
    CU_ASSERT_EQUAL(slow.n, 0);
    teardown();
}

static void between_stores_a_job_is_pushed_first_and_then_forgotten(void) {
    Session *s = set_up();

    push(s, 0, "disk.q", "x", NULL);
    push(s, 0, "memory", "m", NULL);
    finish(1, 0);
    pull(s, 1, "disk.q", 1);
    pull(s, 2, "memory", 1);
    fake_drop(s);
    /* From memory to disk: under a name made of where it came from. */
    forward(s, 3, 2, 1, "disk.r", "y");
    CU_ASSERT_EQUAL(slow.n_push, 2);
    CU_ASSERT_EQUAL(slow.last_push.id, 2);
    CU_ASSERT_PTR_NOT_NULL(slow.last_push.client);
    expect_nothing(s);
    finish(1, 0);
    expect_ok(s, 3);
    CU_ASSERT_EQUAL(count_of("memory", "held"), 0);
    /* From disk to memory. */
    forward(s, 4, 1, 1, "memory", "z");
    expect_ok(s, 4);
    expect_job(s, 2, "z", 1);
    CU_ASSERT_EQUAL(slow.n_remove, 1);
    finish(1, 0);
    CU_ASSERT_EQUAL(slow.n, 0);
    /* Done before, by a broker that died in between. */
    slow.knows_all = true;
    forward(s, 5, 4, 1, "disk.r", "z");
    expect_ok(s, 5);
    CU_ASSERT_EQUAL(slow.n, 0);
    CU_ASSERT_EQUAL(count_of("disk.r", "pushed"), 1);
    teardown();
}

static void what_cannot_be_buried_is_tried_again(void) {
    Session *s = set_up();

    push(s, 0, "disk.q", "x", NULL);
    finish(1, 0);
    pull(s, 1, "disk.q", 1);
    fake_drop(s);
    reject(s, 2, 1, 1, "no");
    CU_ASSERT_EQUAL(slow.n_replace, 1);
    finish(1, -EIO);
    expect_error(s, 2, "ferry.Internal");
    wait_ms(60000);
    expect_nothing(s);
    CU_ASSERT_EQUAL(slow.n_replace, 2);
    finish(1, 0);
    CU_ASSERT_EQUAL(count_of("disk.q", "dead"), 1);
    teardown();
}

static void dropping_and_purging_wait_for_the_store(void) {
    uint64_t n;
    Session *s = set_up();

    configure("disk.q", "max_jobs", "2");
    configure("disk.q", "overflow", "drop-oldest");
    for (int i = 0; i < 2; i++)
        push(s, 0, "disk.q", "x", NULL);
    finish(2, 0);
    push(s, 1, "disk.q", "y", NULL); /* one is being dropped: there is no room yet */
    expect_error(s, 1, "ferry.Full");
    finish(1, 0);
    push(s, 2, "disk.q", "y", NULL);
    finish(1, 0);
    expect_ok(s, 2);
    CU_ASSERT_EQUAL(queues_purge(queues, span_text("disk.q"), NULL, 0, &n), 0);
    CU_ASSERT_EQUAL(n, 2);
    finish(1, 0);
    finish(1, -EIO);
    CU_ASSERT_EQUAL(count_of("disk.q", "ready"), 1);
    teardown();
}

static void moving_between_stores_and_failing_to(void) {
    uint64_t n;
    Session *s = set_up();

    push(s, 0, "memory", "a", NULL);
    push(s, 0, "memory", "b", NULL);
    CU_ASSERT_EQUAL(queues_move(queues, span_text("memory"), span_text("disk.q"), 0, NULL, 0, &n),
                    0);
    CU_ASSERT_EQUAL(n, 2);
    finish(1, 0);
    finish(1, -EIO);
    CU_ASSERT_EQUAL(count_of("memory", "ready"), 1);
    CU_ASSERT_EQUAL(count_of("disk.q", "ready"), 1);
    teardown();
}

/* ---- a new life ---- */

static void jobs_come_back_as_they_were(void) {
    static const uint8_t held[] = {0x92, 0x92, 101, 3, 0x92, 102, 1};
    Message content = {.body = span_text("x")};
    StoredJob *job, as;
    Session *s = set_up();
    uint64_t key;

    memset(&key, 's', sizeof(key));
    key |= 1; /* as the router itself names this client */
    as = (StoredJob){.id = 100, .pushed_ms = 5, .priority = 2};
    CU_ASSERT_EQUAL(
        queues_restore_job(queues, &slow.store, span_text("disk.q"), &as, &content, NULL, &job), 0);
    as = (StoredJob){.id = 101, .attempt = 3, .worker = key, .held = true};
    CU_ASSERT_EQUAL(
        queues_restore_job(queues, &slow.store, span_text("disk.q"), &as, &content, NULL, &job), 0);
    CU_ASSERT_EQUAL(
        queues_restore_job(queues, &slow.store, span_text("disk.q"), &as, &content, NULL, &job),
        -EEXIST);
    as = (StoredJob){.id = 102, .attempt = 1, .worker = key + 2, .held = true};
    CU_ASSERT_EQUAL(
        queues_restore_job(queues, &slow.store, span_text("disk.q"), &as, &content, NULL, &job), 0);
    as = (StoredJob){.id = 103, .due_ms = broker.now_ms + 100};
    CU_ASSERT_EQUAL(
        queues_restore_job(queues, &slow.store, span_text("disk.q"), &as, &content, NULL, &job), 0);
    CU_ASSERT_EQUAL(
        queues_restore_job(queues, &slow.store, span_text("a b"), &as, &content, NULL, &job),
        -EINVAL);
    as.id = 0;
    CU_ASSERT_EQUAL(
        queues_restore_job(queues, &slow.store, span_text("disk.q"), &as, &content, NULL, &job),
        -EEXIST);
    CU_ASSERT_EQUAL(
        queues_restore_key(queues, span_text("disk.q"), span_text("k"), broker.now_ms + 50), 0);
    CU_ASSERT_EQUAL(queues_restore_key(queues, span_text("disk.q"), (Span){NULL, 0}, 9), -EINVAL);
    CU_ASSERT_EQUAL(slow.n, 0);

    queues_held(queues, s->client, span_of(held, sizeof(held)));
    push(s, 1, "disk.q", "x", "key", "k", NULL);
    CU_ASSERT_EQUAL(expect_ok(s, 1), 0);
    wait_ms(1999);
    CU_ASSERT_EQUAL(count_of("disk.q", "held"), 2);
    wait_ms(1);
    CU_ASSERT_EQUAL(count_of("disk.q", "held"), 1); /* the one that its worker listed */
    CU_ASSERT_EQUAL(count_of("disk.q", "ready"), 3);
    ack(s, 2, 101, 3);
    finish(1, 0);
    expect_ok(s, 2);
    push(s, 3, "disk.q", "x", NULL);
    finish(1, 0);
    CU_ASSERT_EQUAL(expect_ok(s, 3), 104); /* numbers go on */
    teardown();
}

static void a_queue_that_goes_is_told_to_its_store(void) {
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
    CU_ASSERT_EQUAL(slow.n_gone, 0); /* a broker that ends leaves its queues where they are */
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(a_push_is_confirmed_and_delivered_when_it_is_stored),
        TEST(a_push_that_was_not_stored_is_an_error),
        TEST(a_key_may_end_before_its_job_is_stored),
        TEST(an_ack_is_confirmed_when_the_job_is_forgotten),
        TEST(a_push_sent_again_meanwhile_is_answered_once),
        TEST(sessions_and_clients_may_go_meanwhile),
        TEST(a_push_of_an_earlier_life_is_known),
        TEST(forward_is_one_change),
        TEST(between_stores_a_job_is_pushed_first_and_then_forgotten),
        TEST(what_cannot_be_buried_is_tried_again),
        TEST(dropping_and_purging_wait_for_the_store),
        TEST(moving_between_stores_and_failing_to),
        TEST(jobs_come_back_as_they_were),
        TEST(a_queue_that_goes_is_told_to_its_store),
        TESTS_END,
    };

    return run_suite("broker queues: stores", tests);
}
