/* SPDX-License-Identifier: Apache-2.0 */
/* Calls about queues at other brokers of a cluster, workers of these queues, and handlers that push
 * to them. */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "moved-scene.h"
#include "support/suite.h"

/* ---- calls of ferry.Broker ---- */

static void a_call_about_a_queue_goes_to_its_broker(void) {
    ferry_client *client = set_up("012", NULL);

    owner = 2;
    CU_ASSERT_EQUAL(push(client, "mail", "one"), 0); /* the client knows all brokers */
    CU_ASSERT_EQUAL(ferry_callf(client, "ferry.Broker.pause", NULL, NULL, "s", "mail"), 0);
    CU_ASSERT_EQUAL(n_at(0, OP_CALL), 1);
    CU_ASSERT_EQUAL(n_at(1, OP_CALL), 0);
    CU_ASSERT_EQUAL(n_at(2, OP_CALL), 1);
    CU_ASSERT_EQUAL(ferry_queue_cancel(client, 7, NULL), 0);
    CU_ASSERT_EQUAL(n_at(2, OP_CALL), 2);
    /* While no broker has the queue, the call waits. */
    n_unknown = 3;
    answer = known_after_some;
    CU_ASSERT_EQUAL(ferry_queue_bind(client, "mail", "a.b", NULL), 0);
    CU_ASSERT_EQUAL(n_at(0, OP_CALL), 6);
    CU_ASSERT_EQUAL(n_at(2, OP_CALL), 3);
    tear_down(client);
}

static int n_replies;

static void replied(const ferry_reply *reply, const ferry_error *error, void *ctx) {
    (void)ctx;
    CU_ASSERT_PTR_NOT_NULL(reply);
    CU_ASSERT_PTR_NULL(error);
    n_replies++;
}

static void a_call_with_a_callback_follows_its_queue(void) {
    ferry_client *client = set_up("012", NULL);
    uint64_t until_ms = clock_ms() + PATIENCE_MS;

    owner = 1;
    n_replies = 0;
    for (int i = 0; i < 50; i++)
        CU_ASSERT_EQUAL(
            ferry_call_async(client, "ferry.Broker.pause", ferry_str(""), replied, NULL, NULL), 0);
    while (n_replies < 50 && !is_over(until_ms)) {
        ferry_process(client, NULL);
        usleep(1000);
    }
    CU_ASSERT_EQUAL(n_replies, 50);
    CU_ASSERT_EQUAL(n_at(1, OP_CALL), 50);
    tear_down(client);
}

static void a_call_that_cannot_follow_gets_the_error(void) {
    static const char *const urls[] = {"01", "0"};

    for (int i = 0; i < 2; i++) {
        ferry_client *client = set_up(urls[i], NULL);
        ferry_error error = FERRY_ERROR_INIT;

        owner = 2;
        CU_ASSERT_EQUAL(ferry_callf(client, "ferry.Broker.pause", NULL, &error, "s", "mail"),
                        -EREMCHG);
        CU_ASSERT_PTR_NOT_NULL(strstr(error.message, brokers[2].url));
        CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "a URL lists all brokers of a cluster"));
        ferry_error_clear(&error);
        /* An error of another service that has the same type is that service's. */
        CU_ASSERT_EQUAL(ferry_callf(client, "shop.Cart.add", NULL, NULL, ""), -EREMCHG);
        CU_ASSERT_STRING_EQUAL(last_at(0, OP_CALL).queue, "shop.Cart");
        tear_down(client);
    }
}

static void lose_call(int at, int fd, const Message *message) {
    if (at == 2)
        scripted_end(&brokers[at], fd);
    else
        by_owner(at, fd, message);
}

static void a_call_whose_broker_is_lost_has_an_unknown_outcome(void) {
    ferry_client *client = set_up("012", NULL);
    ferry_error error = FERRY_ERROR_INIT;

    owner = 2;
    answer = lose_call;
    CU_ASSERT_EQUAL(ferry_callf(client, "ferry.Broker.pause", NULL, &error, "s", "mail"),
                    -ECONNRESET);
    CU_ASSERT_TRUE(error.outcome_unknown);
    CU_ASSERT_STRING_EQUAL(error.type, "ferry.ConnectionLost");
    ferry_error_clear(&error);
    tear_down(client);
}

/* ---- workers ---- */

static ferry_job *kept;
static ferry_lost_reason lost_reason;
static int n_lost, n_refused;
static char refusal[300];

static int keep(ferry_job *job, void *ctx) {
    (void)ctx;
    kept = ferry_job_defer(job);
    return 0;
}

static void on_lost(ferry_job *job, ferry_lost_reason reason, void *ctx) {
    (void)ctx;
    CU_ASSERT_PTR_EQUAL(job, kept);
    lost_reason = reason;
    n_lost++;
}

/* Says a message to the session in which this broker has got PULL or SERVE. */
static void say_to_worker(int at, Message message) {
    scripted_lock();
    for (int i = 0; i < SCRIPTED_SESSIONS; i++)
        if (brokers[at].sessions[i].is_up && brokers[at].sessions[i].notes[0])
            raw_say(brokers[at].sessions[i].fd, &message);
    scripted_unlock();
}

static void run_until(ferry_client *client, const int *count, int n) {
    uint64_t until_ms = clock_ms() + PATIENCE_MS;

    while (*count < n && !is_over(until_ms)) {
        ferry_process(client, NULL);
        usleep(1000);
    }
    CU_ASSERT_EQUAL(*count, n);
}

enum { JOB = 65 };

/* A worker that has got a job of broker 1, and keeps it. */
static ferry_client *set_up_worker(void) {
    ferry_client *client = set_up("012", NULL);
    uint64_t until_ms = clock_ms() + PATIENCE_MS;

    owner = 1;
    kept = NULL;
    n_lost = 0;
    CU_ASSERT_EQUAL(
        ferry_work(client, "mail", &(ferry_work_options){.lost = on_lost}, keep, NULL, NULL, NULL),
        0);
    for (int i = 0; i < N; i++)
        CU_ASSERT_EQUAL(last_at(i, OP_PULL).wait, 1);
    say_to_worker(1, (Message){.op = OP_JOB,
                               .job = {.pull = last_at(1, OP_PULL).id, .job = JOB, .attempt = 1},
                               .body = span_text("work")});
    while (!kept && !is_over(until_ms)) {
        ferry_process(client, NULL);
        usleep(1000);
    }
    CU_ASSERT_PTR_NOT_NULL_FATAL(kept);
    return client;
}

/* The queue leaves broker 1. */
static void say_moved(int to) {
    set_owner(to);
    say_to_worker(
        1, (Message){.op = OP_LOST, .lost = {.job = JOB, .attempt = 1, .reason = LOST_AWAY}});
}

static void turns(ferry_client *client, int ms) {
    uint64_t until_ms = clock_ms() + (uint64_t)ms;

    while (!is_over(until_ms)) {
        ferry_process(client, NULL);
        usleep(1000);
    }
}

static void a_job_follows_its_queue_to_another_broker(void) {
    ferry_client *client = set_up_worker();

    say_moved(2);
    await(client, 2, OP_EXTEND, 1);
    turns(client, 50);
    CU_ASSERT_EQUAL(last_at(2, OP_EXTEND).job, JOB);
    CU_ASSERT_FALSE(ferry_job_lost(kept));
    CU_ASSERT_EQUAL(ferry_job_ack(kept), 0);
    await(client, 2, OP_ACK, 1);
    CU_ASSERT_EQUAL(n_at(1, OP_ACK), 0);
    CU_ASSERT_EQUAL(n_lost, 0);
    /* The pulls stay. */
    for (int i = 0; i < N; i++)
        CU_ASSERT_EQUAL(n_at(i, OP_PULL), 1);
    tear_down(client);
}

static void a_job_that_is_settled_on_its_way_is_settled_there(void) {
    ferry_client *client = set_up_worker();
    int results[2] = {0};

    say_moved(UNKNOWN);
    turns(client, 150);
    CU_ASSERT_EQUAL(ferry_job_confirm(kept, done, results), 0);
    CU_ASSERT_EQUAL(ferry_job_retry(kept, 5, "later"), 0);
    turns(client, 50);
    CU_ASSERT_EQUAL(n_at(0, OP_RETRY) + n_at(1, OP_RETRY) + n_at(2, OP_RETRY), 0);
    set_owner(2);
    run_until(client, &results[0], 1);
    CU_ASSERT_EQUAL(n_at(2, OP_RETRY), 1);
    CU_ASSERT_STRING_EQUAL(last_at(2, OP_RETRY).text, "later");
    CU_ASSERT_EQUAL(results[1], 0);
    tear_down(client);
}

/* The old broker had not taken the settlement yet. */
static void a_settlement_that_its_broker_did_not_take_is_repeated(void) {
    ferry_client *client = set_up_worker();

    CU_ASSERT_EQUAL(ferry_job_reject(kept, "bad"), 0);
    await(client, 1, OP_REJECT, 1);
    say_moved(2);
    await(client, 2, OP_REJECT, 1);
    CU_ASSERT_EQUAL(last_at(2, OP_REJECT).job, JOB);
    CU_ASSERT_STRING_EQUAL(last_at(2, OP_REJECT).text, "bad");
    /* A job that the client does not know is released. */
    say_moved(0);
    await(client, 0, OP_RELEASE, 1);
    tear_down(client);
}

static void refuse_extend(int at, int fd, const Message *message) {
    if (message->op == OP_EXTEND)
        scripted_error(fd, message->id, "ferry.LeaseLost");
    else
        by_owner(at, fd, message);
}

static void a_job_that_another_worker_has_got_is_lost(void) {
    ferry_client *client = set_up_worker();

    scripted_lock();
    answer = refuse_extend;
    scripted_unlock();
    say_moved(2);
    run_until(client, &n_lost, 1);
    CU_ASSERT_EQUAL(lost_reason, FERRY_LOST_QUEUE_MOVED);
    CU_ASSERT_EQUAL(ferry_job_ack(kept), -ESTALE);
    CU_ASSERT_EQUAL(ferry_ping(client, NULL, NULL), 0);
    CU_ASSERT_EQUAL(n_at(2, OP_ACK), 0);
    tear_down(client);
}

static void a_client_closes_while_its_job_is_on_its_way(void) {
    ferry_client *client = set_up_worker();
    int results[2] = {0};

    say_moved(UNKNOWN);
    turns(client, 50);
    tear_down(client);
    CU_ASSERT_EQUAL(ferry_job_ack(kept), -ECANCELED);

    client = set_up_worker();
    say_moved(UNKNOWN);
    turns(client, 50);
    CU_ASSERT_EQUAL(ferry_job_confirm(kept, done, results), 0);
    CU_ASSERT_EQUAL(ferry_job_ack(kept), 0);
    tear_down(client);
    CU_ASSERT_EQUAL(results[1], 1);
}

static void swallow_extend(int at, int fd, const Message *message) {
    if (message->op != OP_EXTEND)
        by_owner(at, fd, message);
}

static void a_job_on_its_way_outlives_a_lost_broker(void) {
    ferry_client *client = set_up_worker();

    scripted_lock();
    answer = swallow_extend;
    scripted_unlock();
    say_moved(2);
    await(client, 1, OP_EXTEND, 1);
    scripted_lock();
    answer = NULL;
    scripted_unlock();
    scripted_stop(&brokers[1]);
    await(client, 2, OP_EXTEND, 1);
    CU_ASSERT_EQUAL(ferry_job_ack(kept), 0);
    await(client, 2, OP_ACK, 1);
    CU_ASSERT_EQUAL(n_lost, 0);
    scripted_restart(&brokers[1]);
    tear_down(client);
}

static void on_event(int event, const ferry_error *error, void *ctx) {
    (void)ctx;
    if (event != FERRY_EVENT_REFUSED)
        return;
    snprintf(refusal, sizeof(refusal), "%s: %s", error->type, error->message);
    n_refused++;
}

static ferry_job *kept_of[N];
static int n_kept;

static int keep_all(ferry_job *job, void *ctx) {
    (void)ctx;
    kept_of[n_kept++] = ferry_job_defer(job);
    return 0;
}

/* A push that no broker takes, and a settlement at each broker that has no answer: the client waits
 * for all of them at once, and each gets its outcome. */
static void a_client_of_many_brokers_waits_for_all_of_them_together(void) {
    ferry_client *client = set_up("012", NULL);
    int pushes[2] = {0}, results[2] = {0};

    owner = UNKNOWN;
    is_mute = true;
    n_kept = 0;
    CU_ASSERT_EQUAL(ferry_work(client, "mail", NULL, keep_all, NULL, NULL, NULL), 0);
    for (int i = 0; i < N; i++)
        say_to_worker(i, (Message){.op = OP_JOB,
                                   .job = {.pull = last_at(i, OP_PULL).id,
                                           .job = JOB + (uint64_t)i * 64,
                                           .attempt = 1},
                                   .body = span_text("work")});
    run_until(client, &n_kept, N);
    CU_ASSERT_EQUAL(push_async(client, "mail", 1, pushes), 0);
    for (int i = 0; i < N; i++) {
        CU_ASSERT_EQUAL(ferry_job_confirm(kept_of[i], done, results), 0);
        CU_ASSERT_EQUAL(ferry_job_ack(kept_of[i]), 0);
    }
    tear_down(client);
    CU_ASSERT_EQUAL(pushes[1], 1);
    CU_ASSERT_EQUAL(results[1], N);
    is_mute = false;
}

static void a_worker_of_one_broker_is_refused_and_tries_again(void) {
    ferry_client *client = set_up("1", &(ferry_options){.on_event = on_event});
    ferry_error error = FERRY_ERROR_INIT;

    owner = 2;
    n_refused = 0;
    CU_ASSERT_EQUAL(ferry_work(client, "mail", NULL, keep, NULL, NULL, &error), -EREMCHG);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, brokers[2].url));
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "a URL lists all brokers of a cluster"));
    ferry_error_clear(&error);
    set_owner(1);
    CU_ASSERT_EQUAL(ferry_work(client, "mail", NULL, keep, NULL, NULL, NULL), 0);
    CU_ASSERT_EQUAL(last_at(1, OP_PULL).wait, 0);
    say_to_worker(1, (Message){.op = OP_MOVED, .name = span_text("news")});
    say_to_worker(1, (Message){.op = OP_MOVED,
                               .name = span_text("mail"),
                               .moved.broker = span_of(brokers[2].id, WIRE_TOKEN),
                               .moved.url = span_text(brokers[2].url)});
    run_until(client, &n_refused, 1);
    CU_ASSERT_PTR_NOT_NULL(strstr(refusal, "ferry.Moved: "));
    CU_ASSERT_PTR_NOT_NULL(strstr(refusal, brokers[2].url));
    await(client, 1, OP_PULL, 3);
    tear_down(client);
}

/* ---- handlers ---- */

static int pushed_in_handler;

static int push_in_handler(ferry_request *request, void *ctx) {
    ferry_client *client = ferry_request_client(request);

    (void)ctx;
    pushed_in_handler = ferry_push(client, "mail", ferry_str("one"), NULL, NULL);
    if (pushed_in_handler == 0)
        pushed_in_handler =
            ferry_push_async(client, "mail", ferry_str("two"), NULL, NULL, NULL, NULL);
    if (pushed_in_handler == 0)
        pushed_in_handler = ferry_flush(client, NULL);
    return ferry_request_return(request, ferry_str(""));
}

static void a_handler_pushes_to_a_queue_at_another_broker(void) {
    ferry_client *client = set_up("012", NULL);
    Seen first;

    owner = 2;
    pushed_in_handler = 1;
    CU_ASSERT_EQUAL(
        ferry_serve_method(client, "shop.Cart.add", NULL, push_in_handler, NULL, NULL, NULL), 0);
    say_to_worker(1, (Message){.op = OP_CALL,
                               .id = 5,
                               .name = span_text("shop.Cart"),
                               .call = {.method = span_text("add"), .timeout_ms = PATIENCE_MS},
                               .body = span_text("")});
    await(client, 1, OP_OK, 1);
    CU_ASSERT_EQUAL(pushed_in_handler, 0);
    CU_ASSERT_EQUAL(n_at(2, OP_PUSH), 2);
    first = last_at(0, OP_PUSH);
    CU_ASSERT_EQUAL(memcmp(first.origin, last_at(2, OP_PUSH).origin, WIRE_TOKEN), 0);
    tear_down(client);
}

static int called_in_handler;

static int call_in_handler(ferry_request *request, void *ctx) {
    ferry_client *client = ferry_request_client(request);

    (void)ctx;
    called_in_handler = ferry_callf(client, "ferry.Broker.pause", NULL, NULL, "s", "mail");
    if (called_in_handler == 0)
        called_in_handler =
            ferry_call_async(client, "ferry.Broker.pause", ferry_str(""), replied, NULL, NULL);
    return ferry_request_return(request, ferry_str(""));
}

static void a_call_in_a_handler_follows_its_queue(void) {
    ferry_client *client = set_up("012", NULL);

    owner = 2;
    called_in_handler = 1;
    n_replies = 0;
    CU_ASSERT_EQUAL(
        ferry_serve_method(client, "shop.Cart.add", NULL, call_in_handler, NULL, NULL, NULL), 0);
    say_to_worker(1, (Message){.op = OP_CALL,
                               .id = 5,
                               .name = span_text("shop.Cart"),
                               .call = {.method = span_text("add"), .timeout_ms = PATIENCE_MS},
                               .body = span_text("")});
    await(client, 1, OP_OK, 1);
    CU_ASSERT_EQUAL(called_in_handler, 0);
    run_until(client, &n_replies, 1);
    CU_ASSERT_EQUAL(n_at(2, OP_CALL), 2);
    tear_down(client);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(a_call_about_a_queue_goes_to_its_broker),
        TEST(a_call_with_a_callback_follows_its_queue),
        TEST(a_call_that_cannot_follow_gets_the_error),
        TEST(a_call_whose_broker_is_lost_has_an_unknown_outcome),
        TEST(a_job_follows_its_queue_to_another_broker),
        TEST(a_job_that_is_settled_on_its_way_is_settled_there),
        TEST(a_settlement_that_its_broker_did_not_take_is_repeated),
        TEST(a_job_that_another_worker_has_got_is_lost),
        TEST(a_client_closes_while_its_job_is_on_its_way),
        TEST(a_job_on_its_way_outlives_a_lost_broker),
        TEST(a_client_of_many_brokers_waits_for_all_of_them_together),
        TEST(a_worker_of_one_broker_is_refused_and_tries_again),
        TEST(a_handler_pushes_to_a_queue_at_another_broker),
        TEST(a_call_in_a_handler_follows_its_queue),
        TESTS_END,
    };

    return run_suite("workers of queues that move", tests);
}
