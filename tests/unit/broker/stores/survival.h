/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Tests for each store that outlives the broker: jobs survive a crash and a restart. */

#include "broker/queues/restored-private.h"
#include "unit/broker/stores/store-life.h"

static Message again(uint64_t id) {
    return (Message){.op = OP_PUSH, .id = id, .name = span_text("q"), .body = span_text("again")};
}

static void confirmed_jobs_survive_a_crash_in_order(void) {
    char body[20];
    Session *s;

    new_place();
    begin();
    s = fake_connect(&broker, 's');
    for (uint64_t i = 1; i <= 300; i++) {
        snprintf(body, sizeof(body), "job %d", (int)i);
        push(s, i, "q", body, NULL);
    }
    until_sent(s, 300);
    for (uint64_t i = 1; i <= 300; i++)
        CU_ASSERT_NOT_EQUAL(expect_ok(s, i), 0);
    crash();
    for (int life = 0; life < 2; life++) {
        begin();
        s = fake_connect(&broker, 't');
        wait_ms(life == 0 ? 0 : 2001); /* for the workers of the life before */
        CU_ASSERT_EQUAL(count_of("q", "ready"), 300);
        pull(s, 1, "q", 300);
        expect_ok(s, 1);
        for (int i = 1; i <= 300; i++) {
            snprintf(body, sizeof(body), "job %d", i);
            expect_job(s, 1, body, life + 1u);
        }
        expect_nothing(s);
        stop(); /* the attempts are written */
    }
}

static void acknowledged_jobs_do_not_come_back(void) {
    uint64_t job, last;
    Session *s;

    new_place();
    begin();
    s = fake_connect(&broker, 's');
    push(s, 1, "q", "one", NULL);
    push(s, 2, "q", "two", NULL);
    until_sent(s, 2);
    fake_drop(s);
    pull(s, 3, "q", 2);
    expect_ok(s, 3);
    job = expect_job(s, 3, "one", 1);
    last = expect_job(s, 3, "two", 1);
    ack(s, 4, job, 1);
    until_sent(s, 1);
    expect_ok(s, 4);
    ack(s, 5, last, 1);
    until_sent(s, 1);
    expect_ok(s, 5);
    crash();
    begin();
    s = fake_connect(&broker, 's');
    CU_ASSERT_EQUAL(count_of("q", "ready"), UINT64_MAX);
    /* The number of a job that is gone is not used again. */
    push(s, 6, "q", "three", NULL);
    until_sent(s, 1);
    CU_ASSERT(expect_ok(s, 6) > last);
    stop();
}

static void everything_about_a_job_survives(void) {
    Session *s;
    uint64_t job;

    new_place();
    begin();
    s = fake_connect(&broker, 's');
    push(s, 1, "q", "low", "priority", UINT64_C(1), NULL);
    push(s, 2, "q", "high", "priority", UINT64_C(8), NULL);
    push(s, 3, "q", "later", "delay", UINT64_C(3600000), NULL);
    push(s, 4, "q", "short", "ttl", UINT64_C(60000), NULL);
    push(s, 5, "q", "keyed", "key", "k", NULL);
    push(s, 6, "failing", "f", NULL);
    until_sent(s, 6);
    fake_drop(s);
    pull(s, 7, "failing", 1);
    expect_ok(s, 7);
    job = expect_job(s, 7, "f", 1);
    retry(s, 8, job, 1, 50, "no luck");
    expect_ok(s, 8);
    wait_ms(60);
    expect_job(s, 7, "f", 2);
    reject(s, 9, job, 2, "it is broken");
    until_sent(s, 1);
    expect_ok(s, 9);
    CU_ASSERT_EQUAL(queues_pause(queues, span_text("q"), true, NULL, 0), QUEUES_LATER);
    push(s, 10, "q", "last", NULL);
    until_sent(s, 1);
    crash();

    begin();
    s = fake_connect(&broker, 's');
    CU_ASSERT_EQUAL(count_of("q", "ready"), 5);
    CU_ASSERT_EQUAL(count_of("q", "delayed"), 1);
    CU_ASSERT_EQUAL(count_of("failing.dead", "ready"), 1);
    pull(s, 1, "q", 9);
    expect_ok(s, 1);
    expect_nothing(s); /* it is still paused */
    push(s, 11, "q", "keyed", "key", "k", NULL);
    CU_ASSERT_EQUAL(expect_ok(s, 11), 0);
    wait_ms(120000); /* the time to live of one job passes meanwhile */
    CU_ASSERT_EQUAL(count_of("q", "ready"), 4);
    CU_ASSERT_EQUAL(queues_pause(queues, span_text("q"), false, NULL, 0), QUEUES_LATER);
    turn(0);
    expect_job(s, 1, "high", 1);
    expect_job(s, 1, "low", 1);
    expect_job(s, 1, "keyed", 1);
    expect_job(s, 1, "last", 1);
    fake_drop(s);
    pull(s, 2, "failing.dead", 1);
    expect_ok(s, 2);
    {
        const FakeSent *sent = fake_take(s);

        CU_ASSERT_PTR_NOT_NULL_FATAL(sent);
        CU_ASSERT_TRUE(span_is(sent->message.body, "f"));
        CU_ASSERT_PTR_NOT_NULL(
            memmem(sent->message.headers.data, sent->message.headers.len, "it is broken", 12));
    }
    stop();
}

static void a_push_sent_again_is_stored_once_over_restarts(void) {
    Message message;
    Session *s;

    new_place();
    begin();
    s = fake_connect(&broker, 's');
    for (uint64_t id = 1; id <= 5; id++)
        push(s, id, "q", "x", NULL);
    until_sent(s, 5);
    crash();
    begin();
    s = fake_connect(&broker, 's');
    restored_pushes_adopt(queues, s->client);
    for (uint64_t id = 1; id <= 5; id++) {
        message = again(id);
        queues_push(queues, s, &message, NULL);
        CU_ASSERT_EQUAL(expect_ok(s, id), 0);
    }
    CU_ASSERT_EQUAL(count_of("q", "ready"), 5);
    message = again(6);
    queues_push(queues, s, &message, NULL);
    until_sent(s, 1);
    CU_ASSERT_NOT_EQUAL(expect_ok(s, 6), 0);
    stop();
}

static void forwarding_is_one_step(void) {
    uint64_t job;
    Session *s;

    new_place();
    begin();
    s = fake_connect(&broker, 's');
    push(s, 1, "q", "raw", NULL);
    until_sent(s, 1);
    fake_drop(s);
    pull(s, 2, "q", 1);
    expect_ok(s, 2);
    job = expect_job(s, 2, "raw", 1);
    forward(s, 3, job, 1, "r", "done");
    until_sent(s, 1);
    expect_ok(s, 3);
    crash();
    begin();
    CU_ASSERT_EQUAL(count_of("q", "ready"), UINT64_MAX);
    CU_ASSERT_EQUAL(count_of("r", "ready"), 1);
    stop();
}

static void large_bodies_survive(void) {
    static char body[3 << 20];
    Session *s;

    new_place();
    begin();
    s = fake_connect(&broker, 's');
    memset(body, 'b', sizeof(body) - 1);
    push(s, 1, "q", body, NULL);
    push(s, 2, "q", "", NULL);
    until_sent(s, 2);
    crash();
    begin();
    s = fake_connect(&broker, 's');
    pull(s, 1, "q", 2);
    expect_ok(s, 1);
    expect_job(s, 1, body, 1);
    expect_job(s, 1, "", 1);
    stop();
}

#define SURVIVAL_TESTS                                                                             \
    TEST(confirmed_jobs_survive_a_crash_in_order), TEST(acknowledged_jobs_do_not_come_back),       \
        TEST(everything_about_a_job_survives),                                                     \
        TEST(a_push_sent_again_is_stored_once_over_restarts), TEST(forwarding_is_one_step),        \
        TEST(large_bodies_survive)
