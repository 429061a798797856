/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs that move to a queue at another broker, through the inbox of its shard. One broker plays
 * both parts. */

#include <errno.h>

#include "broker/queues/changes-private.h"
#include "broker/stores/relay.h"
#include "unit/broker/queues/shard-store.h"

enum { ENTRIES = 600, ENTRY_MAX = 400 };

/* The inbox of shard 1. */
static struct {
    void *sending;
    size_t len;
    uint8_t data[ENTRY_MAX];
} inbox[ENTRIES];

static size_t n_sent, n_answered;
static int admitted;

static int fake_admit(TopicRelay *relay, unsigned shard) {
    (void)relay;
    CU_ASSERT_EQUAL(shard, 1);
    return admitted;
}

static int fake_send(TopicRelay *relay, unsigned shard, Span entry, void *sending) {
    (void)relay, (void)shard;
    CU_ASSERT_FATAL(n_sent < ENTRIES && entry.len <= ENTRY_MAX);
    inbox[n_sent].sending = sending;
    inbox[n_sent].len = entry.len;
    memcpy(inbox[n_sent++].data, entry.data, entry.len);
    return 0;
}

static int append_entry(Store *store, uint64_t ticket, StoredJob *const *jobs, size_t n,
                        const StoredPush *by, void *entry) {
    ShardChange change = {.ticket = ticket};

    CU_ASSERT_PTR_EQUAL(entry, inbox);
    CU_ASSERT_FATAL(n <= 1);
    CU_ASSERT_EQUAL(by->client != NULL, n == 1);
    if (n == 1)
        change.job = kept_of(jobs[0], by);
    return shard_begin(store, &change);
}

static const RelayOps relay_ops = {.admit = fake_admit, .send = fake_send};
static TopicRelay relay = {.ops = &relay_ops};
static StoreOps ops;
static Session *s;
static char from[32], to[32];

/* Queue `from` is here, queue `to` is at another broker. */
static void begin(void) {
    empty_shards();
    begin_broker();
    ops = shard_ops;
    ops.append_entry = append_entry;
    for (unsigned k = 0; k < N_SHARDS; k++)
        shards[k].store.ops = &ops;
    queues->relay = &relay;
    n_sent = n_answered = 0;
    admitted = 0;
    adopt(0);
    snprintf(from, sizeof(from), "%s", queue_in(0, 0));
    snprintf(to, sizeof(to), "%s", queue_in(1, 0));
    s = fake_connect(&broker, 's');
}

/* Redis answers the next entries. */
static void answer_sent(size_t n, int result) {
    while (n-- > 0)
        queues_sent(queues, inbox[n_answered++].sending, result);
    end_changes(&shards[0]);
}

/* The broker of shard 1 takes the first entry. */
static int take(void) {
    char problem[600];

    return queues_take_entry(queues, &shards[1].store, span_of(inbox[0].data, inbox[0].len), inbox,
                             problem, sizeof(problem));
}

static uint64_t push_one(const char *body) {
    push(s, 1, from, body, "priority", (uint64_t)7, "order", "k", NULL);
    end_changes(&shards[0]);
    return expect_ok(s, 1);
}

/* Checks the answer to a method of ferry.Broker: a number. */
static void expect_result(uint64_t id, uint64_t number) {
    const FakeSent *sent = fake_take(s);
    Reader reader;

    CU_ASSERT_PTR_NOT_NULL_FATAL(sent);
    CU_ASSERT_EQUAL_FATAL(sent->message.op, OP_OK);
    CU_ASSERT_EQUAL(sent->message.id, id);
    reader = reader_of(sent->message.body.data, sent->message.body.len);
    CU_ASSERT_EQUAL(reader_uint(&reader), number);
}

static void a_job_moves_with_all_that_it_has(void) {
    uint64_t job;
    Span kept;

    begin();
    job = push_one("x");
    CU_ASSERT_EQUAL(queues_move_job(queues, job, span_text(to), s, 2), QUEUES_LATER);
    CU_ASSERT_EQUAL(n_sent, 1);
    expect_nothing(s);
    CU_ASSERT_EQUAL(shards[0].n, 1); /* until the other broker can take it */
    answer_sent(1, 0);
    expect_result(2, 0);
    CU_ASSERT_EQUAL(shards[0].n, 0);

    adopt(1);
    CU_ASSERT_EQUAL(take(), 0);
    end_changes(&shards[1]);
    CU_ASSERT_EQUAL_FATAL(shards[1].n, 1);
    CU_ASSERT_EQUAL(shards[1].jobs[0].priority, 7);
    CU_ASSERT_STRING_EQUAL(shards[1].jobs[0].order, "k");
    CU_ASSERT_EQUAL(shards[1].jobs[0].push, job);
    pull(s, 3, to, 1);
    expect_ok(s, 3);
    expect_job(s, 3, "x", 1);
    kept = queues_queue_of_job(queues, shards[1].jobs[0].id);
    CU_ASSERT_TRUE(span_is(kept, to));
    teardown();
}

/* The broker of the job was lost before it could remove the job, and the job is moved once more. */
static void a_job_that_is_moved_again_is_stored_once(void) {
    begin();
    CU_ASSERT_EQUAL(queues_move_job(queues, push_one("x"), span_text(to), s, 2), QUEUES_LATER);
    adopt(1);
    CU_ASSERT_EQUAL(take(), 0);
    end_changes(&shards[1]);
    CU_ASSERT_EQUAL(take(), 0);
    end_changes(&shards[1]);
    CU_ASSERT_EQUAL(shards[1].n, 1);
    let_go(1, true);
    turns_until_gone();
    adopt(1); /* the next broker of the shard knows it, too */
    CU_ASSERT_EQUAL(take(), 0);
    end_changes(&shards[1]);
    CU_ASSERT_EQUAL(shards[1].n, 1);
    CU_ASSERT_EQUAL(count_of(to, "ready"), 1);
    answer_sent(1, 0);
    teardown();
}

static void a_job_that_is_not_stored_there_stays_in_the_inbox(void) {
    begin();
    CU_ASSERT_EQUAL(queues_move_job(queues, push_one("x"), span_text(to), s, 2), QUEUES_LATER);
    answer_sent(1, 0);
    adopt(1);
    CU_ASSERT_EQUAL(take(), 0);
    shards[1].store.done(shards[1].changes[0].ticket, -ENOBUFS, shards[1].store.ctx);
    shards[1].n_changes = 0;
    CU_ASSERT_EQUAL(count_of(to, "ready"), 0);
    CU_ASSERT_EQUAL(take(), 0);
    end_changes(&shards[1]);
    CU_ASSERT_EQUAL(count_of(to, "ready"), 1);
    teardown();
}

static void a_job_that_cannot_be_sent_stays(void) {
    uint64_t job;

    begin();
    job = push_one("x");
    admitted = -EBUSY;
    CU_ASSERT_EQUAL(queues_move_job(queues, job, span_text(to), s, 2), -EBUSY);
    admitted = 0;
    CU_ASSERT_EQUAL(queues_move_job(queues, job, span_text(to), s, 3), QUEUES_LATER);
    answer_sent(1, -EDQUOT);
    expect_error(s, 3, "ferry.Full");
    CU_ASSERT_EQUAL(count_of(from, "ready"), 1);
    CU_ASSERT_EQUAL(shards[0].n, 1);
    teardown();
}

static void the_worker_of_a_moved_job_is_told(void) {
    uint64_t job;

    begin();
    pull(s, 1, from, 1);
    expect_ok(s, 1);
    push(s, 2, from, "x", NULL);
    end_changes(&shards[0]);
    expect_ok(s, 2);
    job = expect_job(s, 1, "x", 1);
    CU_ASSERT_EQUAL(queues_move_job(queues, job, span_text(to), s, 3), QUEUES_LATER);
    expect_lost(s, job, 1);
    ack(s, 4, job, 1);
    expect_error(s, 4, "ferry.LeaseLost");
    answer_sent(1, 0);
    expect_result(3, 0);
    teardown();
}

static void a_job_on_its_way_leaves_with_its_shard(void) {
    begin();
    CU_ASSERT_EQUAL(queues_move_job(queues, push_one("x"), span_text(to), s, 2), QUEUES_LATER);
    CU_ASSERT_FALSE(queues_close_shard(queues, &shards[0].store));
    let_go(0, false);
    turns_until_gone();
    expect_moved_error(s, 2, NULL);
    CU_ASSERT_EQUAL(shards[0].store.n_open, 0);
    CU_ASSERT_EQUAL(shards[0].store.n_jobs, 0);
    answer_sent(1, 0);
    expect_nothing(s);
    teardown();
}

static void a_broker_ends_while_a_job_moves(void) {
    begin();
    CU_ASSERT_EQUAL(queues_move_job(queues, push_one("x"), span_text(to), s, 2), QUEUES_LATER);
    end_session(s);
    adopt(1);
    CU_ASSERT_EQUAL(take(), 0);
    teardown();
}

/* ---- many jobs ---- */

static void push_many(unsigned n) {
    for (unsigned i = 0; i < n; i++)
        push(s, 0, from, "x", NULL);
    end_changes(&shards[0]);
    fake_drop(s);
}

static void many_jobs_move_a_limited_number_at_a_time(void) {
    uint64_t n = 0;

    begin();
    push_many(500);
    CU_ASSERT_EQUAL(queues_move(queues, span_text(from), span_text(to), 400, s, 9, &n),
                    QUEUES_LATER);
    for (int i = 0; i < 10; i++)
        rooms_turn_end(&broker);
    CU_ASSERT_EQUAL(n_sent, 256);
    CU_ASSERT_TRUE(sweeps_next_ms(queues) > broker.now_ms); /* the broker waits */
    answer_sent(200, 0);
    CU_ASSERT_EQUAL(n_sent, 400);
    answer_sent(199, 0);
    rooms_turn_end(&broker);
    expect_nothing(s);
    answer_sent(1, 0);
    rooms_turn_end(&broker);
    expect_result(9, 400);
    CU_ASSERT_EQUAL(count_of(from, "ready"), 100);
    CU_ASSERT_EQUAL(shards[0].n, 100);
    CU_ASSERT_EQUAL(sweeps_next_ms(queues), UINT64_MAX);
    teardown();
}

static void a_full_inbox_ends_the_move_of_many_jobs(void) {
    uint64_t n = 0;

    begin();
    push_many(10);
    CU_ASSERT_EQUAL(queues_move(queues, span_text(from), span_text(to), 0, s, 9, &n), QUEUES_LATER);
    rooms_turn_end(&broker);
    answer_sent(6, 0);
    answer_sent(4, -EDQUOT);
    rooms_turn_end(&broker);
    expect_result(9, 6);
    CU_ASSERT_EQUAL(count_of(from, "ready"), 4);

    CU_ASSERT_EQUAL(queues_move(queues, span_text(from), span_text(to), 0, s, 10, &n),
                    QUEUES_LATER);
    rooms_turn_end(&broker);
    answer_sent(4, -EDQUOT);
    rooms_turn_end(&broker);
    expect_error(s, 10, "ferry.Full");
    CU_ASSERT_EQUAL(count_of(from, "ready"), 4);
    teardown();
}

static void a_move_of_many_jobs_ends_with_their_shard(void) {
    uint64_t n = 0;

    begin();
    push_many(10);
    CU_ASSERT_EQUAL(queues_move(queues, span_text(from), span_text(to), 0, s, 9, &n), QUEUES_LATER);
    rooms_turn_end(&broker);
    CU_ASSERT_EQUAL(n_sent, 10);
    let_go(0, false);
    turns_until_gone();
    expect_moved_error(s, 9, NULL);
    answer_sent(10, 0);
    CU_ASSERT_EQUAL(shards[0].store.n_jobs, 0);
    CU_ASSERT_EQUAL(shards[0].n, 10);
    teardown();
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(a_job_moves_with_all_that_it_has),
        TEST(a_job_that_is_moved_again_is_stored_once),
        TEST(a_job_that_is_not_stored_there_stays_in_the_inbox),
        TEST(a_job_that_cannot_be_sent_stays),
        TEST(the_worker_of_a_moved_job_is_told),
        TEST(a_job_on_its_way_leaves_with_its_shard),
        TEST(a_broker_ends_while_a_job_moves),
        TEST(many_jobs_move_a_limited_number_at_a_time),
        TEST(a_full_inbox_ends_the_move_of_many_jobs),
        TEST(a_move_of_many_jobs_ends_with_their_shard),
        TESTS_END,
    };

    return run_suite("broker queues: jobs that move to other brokers", tests);
}
