/* SPDX-License-Identifier: Apache-2.0 */
/* Each allocation fails once: each message gets one answer, and no confirmed job is lost. */

#include "support/oom.h"
#include "unit/broker/queues/verbs.h"

typedef struct Tally {
    unsigned answers[32]; /* number of answers by id */
    unsigned ok[32];
} Tally;

static void note_answer(Tally *tally, const Message *message) {
    if (message->op != OP_OK && message->op != OP_ERROR)
        return;
    CU_ASSERT_FATAL(message->id < 32);
    tally->answers[message->id]++;
    tally->ok[message->id] += message->op == OP_OK;
}

static void take_answers(Session *session, Tally *tally) {
    const FakeSent *sent;

    while ((sent = fake_take(session)))
        note_answer(tally, &sent->message);
}

/* Settles the first four jobs that the worker got, each in another way, with ids from 10 on. */
static void work(Session *worker, Tally *tally) {
    const FakeSent *sent;

    for (uint64_t id = 10; (sent = fake_take(worker));) {
        Message job = sent->message;

        note_answer(tally, &job);
        if (job.op != OP_JOB)
            continue;
        if (id == 10)
            ack(worker, id, job.job.job, job.job.attempt);
        else if (id == 11)
            reject(worker, id, job.job.job, job.job.attempt, "no good");
        else if (id == 12)
            retry(worker, id, job.job.job, job.job.attempt, 10, "later");
        else if (id == 13)
            forward(worker, id, job.job.job, job.job.attempt, "next", "forwarded");
        else
            break; /* the other jobs go back to the queue when the session ends */
        id++;
    }
}

/* With enough memory again, all confirmed jobs can be done. Returns their number. */
static unsigned work_off(void) {
    static const char *const names[] = {"q", "q.dead", "next"};
    Session *worker = fake_connect(&broker, 'z');
    unsigned n = 0;

    for (uint64_t i = 0; i < 3; i++)
        pull(worker, i + 1, names[i], 100);
    for (int seconds = 0; seconds < 130; seconds++) {
        const FakeSent *sent;

        while ((sent = fake_take(worker)))
            if (sent->message.op == OP_JOB) {
                ack(worker, 0, sent->message.job.job, sent->message.job.attempt);
                n++;
            }
        wait_ms(1000);
    }
    return n;
}

static bool live_through(unsigned n) {
    static uint8_t large[10000];
    Session *pusher, *worker;
    Tally pushes = {0}, works = {0};
    unsigned n_stored = 0;
    bool happened;

    setup();
    pusher = fake_connect(&broker, 'p');
    worker = fake_connect(&broker, 'w');
    oom_plan(n);
    push(pusher, 1, "q", "one", "key", "k", NULL);
    push(pusher, 2, "q", "two", "priority", UINT64_C(3), NULL);
    push(pusher, 3, "q", "three", "delay", UINT64_C(5), NULL);
    push(pusher, 4, "q", "four", "ttl", UINT64_C(100000), NULL);
    for (uint64_t id = 5; id < 9; id++)
        queues_push(queues, pusher,
                    &(Message){.op = OP_PUSH,
                               .id = id,
                               .name = span_text("q"),
                               .body = span_of(large, sizeof(large))},
                    NULL);
    pull(worker, 9, "q", 6);
    rooms_turn_end(&broker);
    work(worker, &works);
    wait_ms(20);
    take_answers(worker, &works);
    take_answers(pusher, &pushes);
    end_session(worker);
    wait_ms(600);
    happened = oom_happened();
    oom_plan(0);

    for (uint64_t id = 1; id < 9; id++) {
        CU_ASSERT_EQUAL(pushes.answers[id], 1);
        n_stored += pushes.ok[id];
    }
    CU_ASSERT_EQUAL(works.answers[9], 1);
    for (uint64_t id = 10; id < 14; id++)
        CU_ASSERT_EQUAL(works.answers[id], works.ok[9]);
    CU_ASSERT_TRUE(n_stored >= (happened ? 6u : 8u));
    CU_ASSERT_EQUAL(work_off() + works.ok[10], n_stored);
    teardown();
    return happened;
}

static void no_confirmed_job_is_lost(void) {
    unsigned n = 1;

    while (live_through(n) && n < 1000)
        n++;
    printf("(%u allocations) ", n - 1);
    CU_ASSERT_TRUE(n > 10 && n < 1000);
}

static void making_a_router_reports_out_of_memory(void) {
    Queues *made = NULL;
    int r;

    fake_broker_init(&broker);
    oom_plan(1);
    r = queues_new(&made, &broker);
    oom_plan(0);
    CU_ASSERT_EQUAL(r, -ENOMEM);
    CU_ASSERT_PTR_NULL(made);
    fake_broker_deinit(&broker);
}

static void settings_may_run_out_of_memory(void) {
    const char *problem = NULL;

    setup();
    oom_plan(1);
    CU_ASSERT_EQUAL(queues_configure(queues, "q", "ttl", "1s", &problem), -ENOMEM);
    oom_plan(0);
    CU_ASSERT_PTR_NOT_NULL(problem);
    teardown();
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(no_confirmed_job_is_lost),
        TEST(making_a_router_reports_out_of_memory),
        TEST(settings_may_run_out_of_memory),
        TESTS_END,
    };

    return run_suite("broker queues out of memory", tests);
}
