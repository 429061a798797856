/* SPDX-License-Identifier: Apache-2.0 */

/* Limits that peers and clients reach, and jobs that outlive a lost connection. */

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/random.h"
#include "support/faults.h"
#include "support/process.h"
#include "support/proxy.h"
#include "support/raw-peer.h"
#include "support/suite.h"

enum { ANSWER_MS = 60000, CUT_MS = 60000, UNCONFIRMED = 65536 };

/* ---- limits that peers reach ---- */

static bool begin_transfer(int fd, uint64_t transfer) {
    return raw_say(
        fd, &(Message){.op = OP_PART, .part.transfer = transfer, .body = span_text("a part")});
}

static void more_than_64_large_bodies_at_once_are_a_fault(void) {
    Bystander *bystander;
    Message message;
    Noticed noticed;
    Daemon broker;
    int fd;

    daemon_start(&broker, &(DaemonOptions){.tcp = true});
    bystander = bystander_start(broker.url);
    fd = raw_session(broker.port, 1 << 20);
    for (uint64_t i = 1; i <= 64; i++)
        CU_ASSERT_TRUE(begin_transfer(fd, i));
    /* One transfer ends, so there is room for another. */
    CU_ASSERT_TRUE(raw_say(
        fd, &(Message){.op = OP_PUSH, .id = 1, .name = span_text("q"), .body_transfer = 17}));
    CU_ASSERT_EQUAL(raw_hear(fd, OP_OK, ANSWER_MS, &message), HEARD);
    CU_ASSERT_TRUE(begin_transfer(fd, 65));
    CU_ASSERT_TRUE(raw_say(fd, &(Message){.op = OP_PING, .id = 1}));
    CU_ASSERT_EQUAL(raw_hear(fd, OP_PONG, ANSWER_MS, &message), HEARD);
    CU_ASSERT_TRUE(begin_transfer(fd, 66));
    CU_ASSERT_EQUAL(raw_hear(fd, OP_FAULT, ANSWER_MS, &message), HEARD);
    CU_ASSERT_STRING_EQUAL(raw_error_text(message.error.map, "type"), "ferry.Protocol");
    CU_ASSERT_TRUE(raw_is_cut(fd, CUT_MS));
    CU_ASSERT_EQUAL(daemon_log_lines(&broker, "or more than 64 transfers are open"), 1);
    close(fd);
    noticed = bystander_stop(bystander);
    CU_ASSERT_EQUAL(noticed.n_failed, 0);
    daemon_end(&broker);
}

/* The broker grants credit again when a batch is done. This peer sends work that takes long, and
 * does not wait for credit. */
static void a_peer_that_sends_without_credit_is_cut(void) {
    enum { SUBSCRIPTIONS = 1000, BATCHES = 6 };
    static uint8_t batch[WIRE_BATCH_MAX] = {WIRE_MAGIC, WIRE_PROTOCOL};
    Message publish = {.op = OP_PUBLISH, .name = span_text("t"), .body = span_text("x")}, message;
    uint8_t *at = batch + WIRE_HEAD;
    int crowd, greedy, modest;
    Bystander *bystander;
    Noticed noticed;
    Daemon broker;

    daemon_start(&broker, &(DaemonOptions){.tcp = true});
    crowd = raw_session(broker.port, 1 << 20);
    for (uint64_t i = 1; i <= SUBSCRIPTIONS; i++)
        raw_say(crowd, &(Message){.op = OP_SUBSCRIBE, .id = i, .name = span_text("t")});
    raw_say(crowd, &(Message){.op = OP_PING, .id = 1});
    CU_ASSERT_EQUAL(raw_hear(crowd, OP_PONG, ANSWER_MS, &message), HEARD);
    bystander = bystander_start(broker.url);
    while (at + 32 < batch + sizeof(batch))
        at = message_write(at, &publish);

    /* A peer that stays within its credit is served to the end, for any time. */
    modest = raw_session(broker.port, 1 << 20);
    publish.id = 4711;
    at = message_write(at, &publish);
    CU_ASSERT_TRUE(raw_frame(modest, batch, (size_t)(at - batch), 0));
    CU_ASSERT_EQUAL(raw_hear(modest, OP_OK, PATIENCE_MS, &message), HEARD);

    greedy = raw_session(broker.port, 1 << 20);
    for (int i = 0; i < BATCHES; i++)
        raw_frame(greedy, batch, (size_t)(at - batch), 0);
    CU_ASSERT_EQUAL(raw_hear(greedy, OP_FAULT, PATIENCE_MS, &message), HEARD);
    CU_ASSERT_STRING_EQUAL(raw_error_text(message.error.map, "type"), "ferry.Protocol");
    CU_ASSERT_STRING_EQUAL(raw_error_text(message.error.map, "message"),
                           "a batch was sent without credit");
    CU_ASSERT_TRUE(raw_is_cut(greedy, CUT_MS));
    CU_ASSERT_EQUAL(daemon_log_lines(&broker, "a batch was sent without credit"), 1);
    noticed = bystander_stop(bystander);
    printf(
        "\n    %d KiB at once with 1024 KiB of credit: FAULT; beside it %ld calls, worst %.1f ms",
        BATCHES * WIRE_BATCH_MAX >> 10, noticed.n_calls, noticed.worst_ms);
    CU_ASSERT_EQUAL(noticed.n_failed, 0);
    close(crowd);
    close(modest);
    close(greedy);
    daemon_end(&broker);
}

static void unfinished_bodies_of_all_together_are_bounded(void) {
    enum { N = 50, PARTS = 100 };
    static uint8_t bytes[WIRE_PART];
    ferry_error error = FERRY_ERROR_INIT;
    Span large = span_of(bytes, sizeof(bytes));
    ferry_client *client;
    size_t before_kib, after_kib;
    int fds[N], r = -1;
    Daemon broker;

    daemon_start(&broker,
                 &(DaemonOptions){.tcp = true, .config = "[broker]\nmax_transfer_bytes = 16M\n"});
    client = open_with(broker.url, NULL);
    before_kib = process_rss_kib(broker.process.pid);
    /* 6.4 MiB each; no transfer ever ends. */
    for (int i = 0; i < N; i++)
        fds[i] = raw_session(broker.port, 1 << 20);
    for (int k = 0; k < PARTS; k++)
        for (int i = 0; i < N; i++)
            raw_say(fds[i], &(Message){.op = OP_PART, .part.transfer = 1, .body = large});
    for (int i = 0; i < N; i++) {
        raw_say(fds[i], &(Message){.op = OP_PING, .id = 1});
        CU_ASSERT_EQUAL(raw_hear(fds[i], OP_PONG, ANSWER_MS, &(Message){0}), HEARD);
    }
    after_kib = process_rss_kib(broker.process.pid);
    printf("\n    %d peers with %d MiB of bodies that never end, and a limit of 16 MiB: the broker "
           "grew by %ld KiB",
           N, N * PARTS * WIRE_PART >> 20, (long)after_kib - (long)before_kib);
#ifndef SANITIZED
    CU_ASSERT((long)after_kib - (long)before_kib < 128 * 1024);
#endif
    /* A message that names a refused body gets an error; small bodies are not affected. */
    for (int i = 0; i < N && r < 0; i++) {
        Message message;

        raw_say(fds[i],
                &(Message){.op = OP_PUSH, .id = 1, .name = span_text("q"), .body_transfer = 1});
        if (raw_hear(fds[i], OP_ERROR, 200, &message) == HEARD) {
            CU_ASSERT_STRING_EQUAL(raw_error_text(message.error.map, "type"), "ferry.Full");
            r = 0;
        }
    }
    CU_ASSERT_EQUAL(r, 0);
    CU_ASSERT_EQUAL(ferry_push(client, "q", ferry_str("small"), NULL, &error), 0);
    for (int i = 0; i < N; i++)
        close(fds[i]);
    /* The transfers are gone, so there is room again. */
    r = -1;
    for (uint64_t until_ms = clock_ms() + PATIENCE_MS; r < 0 && clock_ms() < until_ms;) {
        static uint8_t body[1 << 20];

        r = ferry_push(client, "q", (ferry_bytes){body, sizeof(body), NULL}, NULL, NULL);
    }
    CU_ASSERT_EQUAL(r, 0);
    ferry_close(client);
    daemon_end(&broker);
}

static void routing_ids_that_peers_chose_are_ignored(void) {
    enum { N = 100 };
    Bystander *bystander;
    Noticed noticed;
    Daemon broker;
    static const uint8_t ping[] = {WIRE_MAGIC, WIRE_PROTOCOL, 0x91, OP_PING};
    int fds[N], n_heard = 0;
    uint8_t id[255] = {0};

    daemon_start(&broker, &(DaemonOptions){.tcp = true});
    bystander = bystander_start(broker.url);
    for (int i = 0; i < N; i++) {
        size_t len = (const size_t[]){1, 2, 4, 5, 6, 9, 254, 255}[i % 8];

        random_bytes(id + 1, len - 1);
        if (i == 9 || i == 10) /* two peers with the same routing id */
            memcpy(id + 1, "same", 4);
        fds[i] = raw_connect(broker.port);
        CU_ASSERT_TRUE(raw_greet(fds[i], id, len));
        raw_frame(fds[i], ping, sizeof(ping), 0);
    }
    for (int i = 0; i < N; i++) {
        Message message;

        /* Each gets the fault that HELLO must come first, like any other peer. */
        n_heard += raw_hear(fds[i], OP_FAULT, ANSWER_MS, &message) == HEARD;
        close(fds[i]);
    }
    noticed = bystander_stop(bystander);
    printf("\n    %d connections that chose routing ids; beside them %ld calls, %ld failed", N,
           noticed.n_calls, noticed.n_failed);
    CU_ASSERT_EQUAL(n_heard, N);
    CU_ASSERT_EQUAL(noticed.n_failed, 0);
    CU_ASSERT_TRUE(noticed.n_calls > 0);
    daemon_end(&broker);
}

/* ---- limits that clients reach ---- */

static void on_number(const ferry_message *message, void *ctx) {
    int *n = ctx;

    (void)message;
    ++*n;
}

static void a_publisher_is_told_when_the_broker_does_not_keep_up(void) {
    ferry_client *publisher, *subscriber;
    static uint8_t body[1024];
    int n_taken = 0, n_got = 0, r = 0;
    Daemon broker;

    daemon_start(&broker, &(DaemonOptions){.config = "[broker]\nmax_subscriber_bytes = 64M\n"});
    publisher = open_with(broker.url, NULL);
    subscriber = open_with(broker.url, NULL);
    CU_ASSERT_EQUAL(ferry_subscribe(subscriber, "full", NULL, on_number, &n_got, NULL, NULL), 0);
    process_signal(&broker.process, SIGSTOP);
    for (; r == 0 && n_taken < 100000; n_taken += r == 0)
        r = ferry_publish(publisher, "full", (ferry_bytes){body, sizeof(body), NULL}, NULL, NULL);
    CU_ASSERT_EQUAL(r, -EAGAIN);
    printf("\n    a stopped broker: after %d messages of 1 KiB a publish says -EAGAIN", n_taken);
    /* No accepted message is lost, and the next one is accepted as soon as there is room. */
    process_signal(&broker.process, SIGCONT);
    for (uint64_t until_ms = clock_ms() + PATIENCE_MS; r == -EAGAIN && clock_ms() < until_ms;) {
        ferry_process(publisher, NULL);
        r = ferry_publish(publisher, "full", (ferry_bytes){body, sizeof(body), NULL}, NULL, NULL);
    }
    CU_ASSERT_EQUAL(r, 0);
    CU_ASSERT_EQUAL(ferry_flush(publisher, NULL), 0);
    CU_ASSERT_TRUE(turn_until(subscriber, &n_got, n_taken + 1, PATIENCE_MS));
    CU_ASSERT_EQUAL(n_got, n_taken + 1);
    ferry_close(publisher);
    ferry_close(subscriber);
    daemon_end(&broker);
}

static void on_pushed(const ferry_error *error, void *ctx) {
    int *n = ctx;

    CU_ASSERT_PTR_NULL(error);
    ++*n;
}

static void the_number_of_unconfirmed_pushes_is_limited(void) {
    int n_confirmed = 0, n = 0, r = 0;
    ferry_client *client, *hasty;
    Daemon broker;

    daemon_start(&broker, &(DaemonOptions){0});
    client = open_with(broker.url, NULL);
    process_signal(&broker.process, SIGSTOP);
    for (; r == 0 && n <= UNCONFIRMED; n += r == 0)
        r = ferry_push_async(client, "many", ferry_str("x"), NULL, on_pushed, &n_confirmed, NULL);
    CU_ASSERT_EQUAL(r, -EAGAIN);
    CU_ASSERT_EQUAL(n, UNCONFIRMED);
    CU_ASSERT_EQUAL(n_confirmed, 0);
    /* A waiting push waits until its timeout. */
    CU_ASSERT_EQUAL(ferry_with(client, &(ferry_options){.timeout_ms = 200}, &hasty, NULL), 0);
    CU_ASSERT_EQUAL(ferry_push(hasty, "many", ferry_str("x"), NULL, NULL), -EAGAIN);
    ferry_close(hasty);
    process_signal(&broker.process, SIGCONT);
    CU_ASSERT_EQUAL(ferry_push(client, "many", ferry_str("x"), NULL, NULL), 0);
    CU_ASSERT_TRUE(turn_until(client, &n_confirmed, UNCONFIRMED, PATIENCE_MS));
    CU_ASSERT_EQUAL(n_confirmed, UNCONFIRMED);
    printf("\n    %d pushes unconfirmed: one more says -EAGAIN; then all are confirmed", n);
    ferry_close(client);
    daemon_end(&broker);
}

/* ---- a million jobs ---- */

#ifdef SANITIZED
enum { MANY = 100000 };
#else
enum { MANY = 1000000 };
#endif

static void push_many(ferry_client *client, const char *queue) {
    uint64_t until_ms = clock_ms() + PATIENCE_MS;
    int n = 0;

    while (n < MANY && clock_ms() < until_ms) {
        int r = ferry_push_async(client, queue, ferry_str("a job"), NULL, NULL, NULL, NULL);

        n += r == 0;
        if (r < 0)
            ferry_process(client, NULL);
    }
    CU_ASSERT_EQUAL(n, MANY);
    CU_ASSERT_EQUAL(ferry_flush(client, NULL), 0);
}

/* Calls a method of ferry.Broker that returns a number; *ret_ms: the time that it took. */
static int64_t manage(ferry_client *client, const char *method, ferry_bytes args,
                      uint64_t *ret_ms) {
    ferry_reply *reply = NULL;
    uint64_t start_ms = clock_ms();
    int64_t n = -1;

    if (ferry_call(client, method, args, &reply, NULL) == 0) {
        Reader reader = reader_of(reply->body.data, reply->body.len);

        n = (int64_t)reader_uint(&reader);
    }
    ferry_free(reply);
    *ret_ms = clock_ms() - start_ms;
    return n;
}

static void emptying_a_long_queue_disturbs_nobody(void) {
    static const struct {
        const char *what, *method;
        ferry_bytes args;
    } steps[] = {
        {"moving", "ferry.Broker.move", {"\x93\xa3one\xa3two\0", 10, NULL}},
        {"purging", "ferry.Broker.purge", {"\x91\xa3two", 5, NULL}},
    };
    Bystander *bystander;
    ferry_client *client;
    Noticed noticed;
    Daemon broker;
    uint64_t ms;

    daemon_start(&broker, &(DaemonOptions){0});
    client = open_with(broker.url, NULL);
    push_many(client, "one");
    for (size_t i = 0; i < 2; i++) {
        int64_t n;

        bystander = bystander_start(broker.url);
        n = manage(client, steps[i].method, steps[i].args, &ms);
        noticed = bystander_stop(bystander);
        CU_ASSERT_EQUAL(n, MANY);
        printf("\n    %s %d jobs: %llu ms; beside it %ld calls, median %.2f ms, worst %.1f ms",
               steps[i].what, MANY, (unsigned long long)ms, noticed.n_calls, noticed.median_ms,
               noticed.worst_ms);
        CU_ASSERT_EQUAL(noticed.n_failed, 0);
    }
    ferry_close(client);
    daemon_end(&broker);
}

/* ---- jobs ---- */

typedef struct Work {
    int n, n_settled;
    uint32_t attempt;
    uint64_t at_ms[8];
    ferry_job *held[8];
    char reason[64];
} Work;

static int hold(ferry_job *job, void *ctx) {
    Work *work = ctx;

    work->attempt = job->attempt;
    if (work->n < 8)
        work->held[work->n] = ferry_job_defer(job);
    work->n++;
    return 0;
}

static void jobs_of_a_worker_survive_its_connection(void) {
    ferry_client *worker, *client;
    Work work = {0}, other = {0};
    Daemon broker;
    Proxy *proxy;

    daemon_start(&broker, &(DaemonOptions){.tcp = true, .config = "[broker]\nlease_grace = 4s\n"});
    proxy = proxy_start(broker.port);
    worker = open_with(proxy_url(proxy), NULL);
    client = open_with(broker.url, NULL);
    CU_ASSERT_EQUAL(
        ferry_work(worker, "held", &(ferry_work_options){.slots = 8}, hold, &work, NULL, NULL), 0);
    for (int i = 0; i < 5; i++)
        CU_ASSERT_EQUAL(ferry_push(client, "held", ferry_str("x"), NULL, NULL), 0);
    CU_ASSERT_TRUE(turn_until(worker, &work.n, 5, PATIENCE_MS));

    /* The worker is back before the grace period of 4 s ends, and lists the jobs that it holds. */
    proxy_cut(proxy);
    turn_for(worker, 300);
    CU_ASSERT_EQUAL(ferry_ping(worker, NULL, NULL), 0);
    CU_ASSERT_EQUAL(
        ferry_work(client, "held", &(ferry_work_options){.slots = 8}, hold, &other, NULL, NULL), 0);
    turn_for(client, 4500);
    turn_for(worker, 1);
    CU_ASSERT_EQUAL(other.n, 0);
    CU_ASSERT_EQUAL(work.n, 5);
    for (int i = 0; i < 5; i++)
        CU_ASSERT_EQUAL(ferry_job_ack(work.held[i]), 0);
    CU_ASSERT_EQUAL(ferry_flush(worker, NULL), 0);
    ferry_close(worker);
    turn_for(client, 300);
    CU_ASSERT_EQUAL(other.n, 0);
    printf("\n    5 jobs held while the connection was lost and made anew: delivered again: %d",
           other.n);
    ferry_close(client);
    proxy_stop(proxy);
    daemon_end(&broker);
}

/* The worker settles its jobs while the broker is stopped, and their time limit passes before the
 * broker continues. */
static void a_broker_that_was_stopped_reads_before_it_expires_leases(void) {
    enum { LIMIT_MS = 3000 };
    ferry_client *worker, *client;
    Work work = {0};
    uint64_t before_ms;
    Daemon broker;

    daemon_start(&broker,
                 &(DaemonOptions){.config = "[queue held]\ntime_limit = 3s\nretry = 1ms\n"});
    worker = open_with(broker.url, NULL);
    client = open_with(broker.url, NULL);
    CU_ASSERT_EQUAL(
        ferry_work(worker, "held", &(ferry_work_options){.slots = 8}, hold, &work, NULL, NULL), 0);
    /* On a busy machine the time limit may pass before the broker is stopped: then try once
     * more. */
    for (int tries = 0; tries < 20; tries++) {
        before_ms = clock_ms();
        work.n = 0;
        for (int i = 0; i < 5; i++)
            CU_ASSERT_EQUAL(ferry_push(client, "held", ferry_str("x"), NULL, NULL), 0);
        CU_ASSERT_TRUE(turn_until(worker, &work.n, 5, PATIENCE_MS));
        process_signal(&broker.process, SIGSTOP);
        if (clock_ms() < before_ms + LIMIT_MS / 2)
            break;
        process_signal(&broker.process, SIGCONT);
        for (int i = 0; i < 5; i++)
            ferry_job_ack(work.held[i]);
        CU_ASSERT_EQUAL(ferry_flush(worker, NULL), 0);
    }
    for (int i = 0; i < 5; i++)
        CU_ASSERT_EQUAL(ferry_job_ack(work.held[i]), 0);
    ferry_process(worker, NULL);
    sleep_ms(LIMIT_MS + LIMIT_MS / 10);
    process_signal(&broker.process, SIGCONT);
    for (int i = 0; i < 5; i++)
        CU_ASSERT_EQUAL(ferry_ping(client, NULL, NULL), 0);
    /* An expired job would stand in front of this one. */
    CU_ASSERT_EQUAL(ferry_push(client, "held", ferry_str("last"), NULL, NULL), 0);
    CU_ASSERT_TRUE(turn_until(worker, &work.n, 6, PATIENCE_MS));
    CU_ASSERT_EQUAL(work.held[5]->body.len, 4);
    CU_ASSERT_EQUAL(ferry_job_ack(work.held[5]), 0);
    printf("\n    5 jobs settled while the broker was stopped past their time limit: expired: %d",
           work.n - 6);
    ferry_close(worker);
    ferry_close(client);
    daemon_end(&broker);
}

static int fail(ferry_job *job, void *ctx) {
    Work *work = ctx;

    if (work->n < 8)
        work->at_ms[work->n] = clock_ms();
    work->n++;
    CU_ASSERT_EQUAL(job->attempt, (uint32_t)work->n);
    return ferry_job_retry(job, 0, "it \"failed\"");
}

static int look(ferry_job *job, void *ctx) {
    Work *work = ctx;
    const char *reason = ferry_job_header(job, "ferry-reason");
    const char *attempts = ferry_job_header(job, "ferry-attempts");

    work->n++;
    snprintf(work->reason, sizeof(work->reason), "%s after %s", reason ? reason : "",
             attempts ? attempts : "");
    return 0;
}

static void a_failing_job_waits_longer_each_time_and_becomes_a_dead_letter(void) {
    Work failing = {0}, dead = {0};
    ferry_client *client;
    Daemon broker;
    uint64_t first, second;

    daemon_start(&broker,
                 &(DaemonOptions){.config = "[queue poison]\nmax_attempts = 3\nretry = 100ms\n"});
    client = open_with(broker.url, NULL);
    CU_ASSERT_EQUAL(ferry_work(client, "poison.dead", NULL, look, &dead, NULL, NULL), 0);
    CU_ASSERT_EQUAL(ferry_work(client, "poison", NULL, fail, &failing, NULL, NULL), 0);
    CU_ASSERT_EQUAL(ferry_push(client, "poison", ferry_str("x"), NULL, NULL), 0);
    CU_ASSERT_TRUE(turn_until(client, &dead.n, 1, PATIENCE_MS));
    CU_ASSERT_EQUAL(failing.n, 3);
    CU_ASSERT_STRING_EQUAL(dead.reason, "it \"failed\" after 3");
    first = failing.at_ms[1] - failing.at_ms[0];
    second = failing.at_ms[2] - failing.at_ms[1];
    printf("\n    tried again after %llu and %llu ms, then dead", (unsigned long long)first,
           (unsigned long long)second);
    CU_ASSERT(first >= 50);
    CU_ASSERT(second >= 100);
    ferry_close(client);
    daemon_end(&broker);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(more_than_64_large_bodies_at_once_are_a_fault),
        TEST(a_peer_that_sends_without_credit_is_cut),
        TEST(unfinished_bodies_of_all_together_are_bounded),
        TEST(routing_ids_that_peers_chose_are_ignored),
        TEST(a_publisher_is_told_when_the_broker_does_not_keep_up),
        TEST(the_number_of_unconfirmed_pushes_is_limited),
        TEST(emptying_a_long_queue_disturbs_nobody),
        TEST(jobs_of_a_worker_survive_its_connection),
        TEST(a_broker_that_was_stopped_reads_before_it_expires_leases),
        TEST(a_failing_job_waits_longer_each_time_and_becomes_a_dead_letter),
        TESTS_END,
    };

    return run_suite("limits", tests);
}
