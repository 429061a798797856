/* SPDX-License-Identifier: Apache-2.0 */
/* Entries of a shard's inbox become jobs, together with the end of the entry. */

#include "broker/queues/inbox-entry.h"

#include <errno.h>

#include "base/log.h"
#include "unit/broker/queues/shard-store.h"

/* The change under way that has an entry. */
static struct {
    uint64_t ticket;
    size_t n_jobs;
    void *entry;
    int result; /* of the call */
} change;

static char problem[600];

static int append_entry(Store *store, uint64_t ticket, StoredJob *const *jobs, size_t n,
                        const StoredPush *by, void *entry) {
    for (size_t i = 0; i < n; i++)
        CU_ASSERT_EQUAL(jobs[i]->id % 64, store->shard);
    CU_ASSERT_PTR_NULL(by->client);
    change.ticket = ticket;
    change.n_jobs = n;
    change.entry = entry;
    return change.result;
}

static StoreOps ops;

static void begin(void) {
    empty_shards();
    begin_broker();
    ops = shard_ops;
    ops.append_entry = append_entry;
    for (unsigned k = 0; k < N_SHARDS; k++)
        shards[k].store.ops = &ops;
    adopt(0);
    memset(&change, 0, sizeof(change));
    change.result = STORE_LATER;
}

/* Takes a message for these queues; the second one may be NULL. */
static int take(const char *first, const char *second) {
    CLEANUP(buffer_deinit) Buffer bytes = {0};
    Span names[] = {span_text(first), span_text(second ? second : "")};
    Message message = {.op = OP_PUBLISH, .name = span_text("t.u"), .body = span_text("x")};

    inbox_entry_write(&bytes, names, second ? 2 : 1, &message);
    return queues_take_entry(queues, &shards[0].store, span_of(bytes.data, bytes.len), &change,
                             problem, sizeof(problem));
}

static void finish(int result) {
    shards[0].store.done(change.ticket, result, shards[0].store.ctx);
    rooms_turn_end(&broker);
}

static void an_entry_becomes_a_job_of_each_queue(void) {
    const char *first, *second;
    const FakeSent *sent;
    Session *s;

    begin();
    first = queue_in(0, 0);
    second = queue_in(0, 1);
    s = fake_connect(&broker, 's');
    pull(s, 1, first, 1);
    expect_ok(s, 1);
    CU_ASSERT_EQUAL(take(first, second), 0);
    CU_ASSERT_EQUAL(change.n_jobs, 2);
    CU_ASSERT_PTR_EQUAL(change.entry, &change);
    rooms_turn_end(&broker);
    expect_nothing(s);
    finish(0);
    sent = fake_take(s);
    CU_ASSERT_PTR_NOT_NULL_FATAL(sent);
    CU_ASSERT_EQUAL(sent->message.op, OP_JOB);
    CU_ASSERT_TRUE(span_is(sent->message.body, "x"));
    CU_ASSERT_TRUE(span_is(header_find(sent->message.headers, FAN_OUT_TOPIC), "t.u"));
    CU_ASSERT_EQUAL(count_of(second, "ready"), 1);
    teardown();
}

static void on_full(Queue *queue, void *ctx) {
    snprintf(ctx, 32, "%s", queue->name);
}

/* Their publishers have the confirmation. */
static void a_full_queue_takes_messages_and_the_others_are_told(void) {
    const char *full, *other;
    char told[32] = "";
    Session *s;

    begin();
    queues->on_bound_full = on_full;
    queues->bound_full_ctx = told;
    configure(">", "max_jobs", "1");
    full = queue_in(0, 0);
    other = queue_in(0, 1);
    s = fake_connect(&broker, 's');
    push(s, 1, full, "old", NULL);
    end_changes(&shards[0]);
    fake_drop(s);
    CU_ASSERT_EQUAL(take(other, NULL), 0);
    finish(0);
    CU_ASSERT_STRING_EQUAL(told, "");
    CU_ASSERT_EQUAL(take(full, NULL), 0);
    finish(0);
    CU_ASSERT_STRING_EQUAL(told, full);
    CU_ASSERT_EQUAL(count_of(full, "ready"), 2);
    CU_ASSERT_EQUAL(count_of(other, "ready"), 1);
    teardown();
}

static void a_full_broker_leaves_the_entry_in_the_inbox(void) {
    begin();
    broker.limits.max_total_bytes = 1;
    CU_ASSERT_EQUAL(take(queue_in(0, 0), NULL), -EAGAIN);
    CU_ASSERT_NOT_EQUAL(*problem, '\0');
    CU_ASSERT_EQUAL(change.ticket, 0);
    teardown();
}

static void a_store_without_room_leaves_the_entry_in_the_inbox(void) {
    begin();
    store_set_degraded(&shards[0].store, "Redis is full");
    CU_ASSERT_EQUAL(take(queue_in(0, 0), NULL), -EAGAIN);
    CU_ASSERT_PTR_NOT_NULL(strstr(problem, "Redis is full"));
    store_set_degraded(&shards[0].store, NULL);
    teardown();
}

static void an_entry_that_is_not_stored_makes_no_job(void) {
    const char *queue;

    begin();
    queue = queue_in(0, 0);
    CU_ASSERT_EQUAL(take(queue, NULL), 0);
    finish(-ENOBUFS);
    CU_ASSERT_EQUAL(count_of(queue, "ready"), 0);
    change.result = -EBUSY;
    CU_ASSERT_EQUAL(take(queue, NULL), -EAGAIN);
    CU_ASSERT_NOT_EQUAL(*problem, '\0');
    CU_ASSERT_EQUAL(count_of(queue, "ready"), 0);
    teardown();
}

static void a_shard_that_leaves_drops_the_jobs_under_way(void) {
    begin();
    CU_ASSERT_EQUAL(take(queue_in(0, 0), NULL), 0);
    let_go(0, false);
    turns_until_gone();
    CU_ASSERT_EQUAL(shards[0].store.n_open, 0);
    CU_ASSERT_EQUAL(shards[0].store.n_jobs, 0);
    teardown();
}

static void a_queue_in_another_store_is_left_out(void) {
    const char *plain;

    begin();
    plain = queue_in(0, 0);
    configure(plain, "durability", "memory");
    CU_ASSERT_EQUAL(take(plain, queue_in(0, 1)), 0);
    CU_ASSERT_EQUAL(change.n_jobs, 1);
    finish(0);
    CU_ASSERT_EQUAL(take(plain, NULL), 0); /* the entry ends without a job */
    CU_ASSERT_EQUAL(change.n_jobs, 0);
    finish(0);
    CU_ASSERT_EQUAL(broker.stats.dropped, 2);
    teardown();
}

static void other_bytes_are_refused(void) {
    begin();
    CU_ASSERT_EQUAL(queues_take_entry(queues, &shards[0].store, span_text("abc"), &change, problem,
                                      sizeof(problem)),
                    -EBADMSG);
    CU_ASSERT_NOT_EQUAL(*problem, '\0');
    teardown();
}

/* The entry has the form of a retained value. It stays in the inbox. */
static void a_message_for_no_queue_is_refused(void) {
    CLEANUP(buffer_deinit) Buffer bytes = {0};
    Message message = {.op = OP_PUBLISH, .name = span_text("t"), .body = span_text("x")};

    begin();
    inbox_entry_write(&bytes, NULL, 0, &message);
    CU_ASSERT_EQUAL(queues_take_entry(queues, &shards[0].store, span_of(bytes.data, bytes.len),
                                      &change, problem, sizeof(problem)),
                    -EBADMSG);
    CU_ASSERT_NOT_EQUAL(*problem, '\0');
    CU_ASSERT_PTR_NULL(change.entry);
    teardown();
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(an_entry_becomes_a_job_of_each_queue),
        TEST(a_full_queue_takes_messages_and_the_others_are_told),
        TEST(a_full_broker_leaves_the_entry_in_the_inbox),
        TEST(a_store_without_room_leaves_the_entry_in_the_inbox),
        TEST(an_entry_that_is_not_stored_makes_no_job),
        TEST(a_shard_that_leaves_drops_the_jobs_under_way),
        TEST(a_queue_in_another_store_is_left_out),
        TEST(other_bytes_are_refused),
        TEST(a_message_for_no_queue_is_refused),
        TESTS_END,
    };

    log_level = LOG_LEVEL_ERROR;
    return run_suite("broker/queues inbox", tests);
}
