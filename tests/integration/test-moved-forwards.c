/* SPDX-License-Identifier: Apache-2.0 */

/* A worker forwards jobs to a queue at another broker: three scripted brokers. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <ferry/ferry.h>

#include "base/clock.h"
#include "clients/c/queues/forward.h"
#include "support/scripted-broker.h"
#include "support/suite.h"

enum { N = 3, UNKNOWN = -1, PATIENCE_MS = 60000, SEEN_MAX = 3000, JOB = 65 };

/* ---- the brokers ---- */

typedef struct Seen {
    int at;
    uint8_t op;
    uint64_t id, job, attempt, keep; /* job: of a settlement, or the option */
    size_t body_len;
    char queue[32], body[16], from[32], key[16], text[128];
} Seen;

static ScriptedBroker brokers[N];
static Seen seen[SEEN_MAX];
static int n_seen;
static int owner; /* the broker that has the other queue; UNKNOWN */
/* Answers to FORWARD and to PUSH at the owner; NULL: kept, and OK. */
static const char *forward_error, *push_error;
static bool is_mute, cuts; /* a FORWARD gets no answer; it ends the session */
static bool is_unknown;    /* a FORWARD may have been made by a broker that the queue has left */

static void copy(char *to, size_t size, Span text) {
    snprintf(to, size, "%.*s", (int)text.len, text.data ? (const char *)text.data : "");
}

static void note_option(Seen *one, Span key, Span value) {
    Reader inside = reader_of(value.data, value.len);

    if (span_is(key, "keep"))
        one->keep = reader_uint(&inside);
    else if (span_is(key, "job"))
        one->job = reader_uint(&inside);
    else if (span_is(key, "from"))
        copy(one->from, sizeof(one->from), reader_str(&inside));
    else if (span_is(key, "key"))
        copy(one->key, sizeof(one->key), reader_str(&inside));
}

static void note(int at, const Message *message) {
    bool is_push = message->op == OP_PUSH;
    bool settles = message->op >= OP_ACK && message->op <= OP_FORWARD;
    Span options = is_push                     ? message->push.options
                   : message->op == OP_FORWARD ? message->settle.options
                                               : (Span){NULL, 0};
    Seen *one = &seen[n_seen++];
    uint32_t left;
    Reader pairs = pairs_of(options, &left);
    Span key;

    if (n_seen == SEEN_MAX)
        abort();
    *one = (Seen){
        .at = at, .op = message->op, .id = message->id, .body_len = message_body(message).len};
    copy(one->queue, sizeof(one->queue), message->name);
    copy(one->body, sizeof(one->body), message->body);
    if (settles) {
        one->job = message->settle.job;
        one->attempt = message->settle.attempt;
        copy(one->text, sizeof(one->text), message->settle.text);
    }
    while (pairs_next(&pairs, &left, &key))
        note_option(one, key, reader_value(&pairs));
}

static void on_forward(int at, int fd, const Message *message) {
    if (is_mute)
        return;
    if (cuts)
        scripted_end(&brokers[at], fd);
    else if (is_unknown)
        scripted_moved_unknown(fd, message->id, &brokers[owner]);
    else if (forward_error && *forward_error)
        scripted_error(fd, message->id, forward_error);
    else if (forward_error)
        scripted_ok(fd, message->id);
    else
        scripted_kept(fd, message->id, owner == UNKNOWN ? NULL : &brokers[owner]);
}

static void script(ScriptedBroker *broker, int fd, const Message *message) {
    int at = (int)(broker - brokers);

    note(at, message);
    if (message->op == OP_PULL)
        scripted_session(broker, fd)->notes[0] = message->id;
    if (message->op == OP_FORWARD)
        on_forward(at, fd, message);
    else if (message->op == OP_PUSH && owner != at)
        scripted_moved(fd, message->id, owner == UNKNOWN ? NULL : &brokers[owner], 0);
    else if (message->op == OP_PUSH && push_error)
        scripted_error(fd, message->id, push_error);
    else if (message->id && op_asks(message->op))
        scripted_ok(fd, message->id);
}

/* ---- the worker ---- */

static ferry_client *client;
static int n_forwarded, n_done;
static char outcome[300];
static const char *body;
static size_t body_len;

static void on_done(const ferry_error *error, void *ctx) {
    (void)ctx;
    snprintf(outcome, sizeof(outcome), "%s", error ? error->type : "confirmed");
    n_done++;
}

static int forward(ferry_job *job, void *ctx) {
    (void)ctx;
    CU_ASSERT_EQUAL(ferry_job_confirm(job, on_done, NULL), 0);
    CU_ASSERT_EQUAL(ferry_job_forward(job, "second", ferry_bytes_of(body, body_len),
                                      &(ferry_push_options){.key = "k"}),
                    0);
    n_forwarded++;
    return 0;
}

static int n_at(int at, unsigned op) {
    int n = 0;

    scripted_lock();
    for (int i = 0; i < n_seen; i++)
        n += (at < 0 || seen[i].at == at) && seen[i].op == op;
    scripted_unlock();
    return n;
}

static Seen last_at(int at, unsigned op) {
    Seen last = {.at = -1};

    scripted_lock();
    for (int i = 0; i < n_seen; i++)
        if ((at < 0 || seen[i].at == at) && seen[i].op == op)
            last = seen[i];
    scripted_unlock();
    return last;
}

static void turn(void) {
    ferry_process(client, NULL);
    usleep(1000);
}

static void await(int at, unsigned op, int n) {
    uint64_t until_ms = clock_ms() + PATIENCE_MS;

    while (n_at(at, op) < n && clock_ms() < until_ms)
        turn();
    CU_ASSERT_EQUAL(n_at(at, op), n);
}

static void await_outcome(const char *expected) {
    uint64_t until_ms = clock_ms() + PATIENCE_MS;

    while (n_done == 0 && clock_ms() < until_ms)
        turn();
    CU_ASSERT_EQUAL(n_done, 1);
    CU_ASSERT_STRING_EQUAL(outcome, expected);
}

/* Says a message to the worker at broker 1; a JOB gets the id of its PULL. */
static void say(Message message) {
    scripted_lock();
    for (int i = 0; i < SCRIPTED_SESSIONS; i++) {
        const ScriptedSession *session = &brokers[1].sessions[i];

        if (!session->is_up || !session->notes[0])
            continue;
        if (message.op == OP_JOB)
            message.job.pull = session->notes[0];
        raw_say(session->fd, &message);
    }
    scripted_unlock();
}

static void deliver(uint64_t job) {
    say((Message){.op = OP_JOB, .job = {.job = job, .attempt = 3}, .body = span_text("work")});
}

/* A worker of the queue "first", which broker 1 has. */
static void set_up(int at) {
    char url[N * 50 + 20];

    for (int i = 0; i < N; i++)
        scripted_start(&brokers[i], script, NULL);
    n_seen = n_forwarded = n_done = 0;
    owner = at;
    forward_error = push_error = NULL;
    is_mute = cuts = is_unknown = false;
    body = "result";
    body_len = strlen(body);
    snprintf(url, sizeof(url), "%s,%s,%s?prefer=order", brokers[0].url, brokers[1].url,
             brokers[2].url);
    CU_ASSERT_EQUAL_FATAL(ferry_open(url, NULL, &client, NULL), 0);
    CU_ASSERT_EQUAL_FATAL(ferry_work(client, "first", &(ferry_work_options){.slots = 2000}, forward,
                                     NULL, NULL, NULL),
                          0);
}

static void tear_down(void) {
    client = ferry_close(client);
    for (int i = 0; i < N; i++)
        scripted_stop(&brokers[i]);
}

static void set_owner(int at) {
    scripted_lock();
    owner = at;
    scripted_unlock();
}

/* ---- tests ---- */

static void a_result_is_pushed_to_the_broker_that_has_the_queue(void) {
    Seen pushed, settled;

    for (int at = 0; at < N; at += 2) {
        set_up(at);
        deliver(JOB);
        await_outcome("confirmed");
        settled = last_at(1, OP_FORWARD);
        CU_ASSERT_EQUAL(settled.keep, 1);
        CU_ASSERT_NOT_EQUAL(settled.id, 0);
        pushed = last_at(at, OP_PUSH);
        CU_ASSERT_STRING_EQUAL(pushed.queue, "second");
        CU_ASSERT_STRING_EQUAL(pushed.body, "result");
        CU_ASSERT_STRING_EQUAL(pushed.from, "first");
        CU_ASSERT_STRING_EQUAL(pushed.key, "k");
        CU_ASSERT_EQUAL(pushed.job, JOB);
        CU_ASSERT_EQUAL(pushed.keep, 0);
        settled = last_at(1, OP_ACK);
        CU_ASSERT_EQUAL(settled.job, JOB);
        CU_ASSERT_EQUAL(settled.attempt, 3);
        CU_ASSERT_EQUAL(n_at(at, OP_PUSH), 1);
        CU_ASSERT_EQUAL(n_at(UNKNOWN, OP_ACK), 1);
        CU_ASSERT_EQUAL(n_at(UNKNOWN, OP_RETRY), 0);
        tear_down();
    }
}

static void a_result_waits_until_some_broker_has_the_queue(void) {
    set_up(UNKNOWN);
    deliver(JOB);
    await(0, OP_PUSH, 2);
    CU_ASSERT_EQUAL(n_at(1, OP_ACK), 0);
    set_owner(2);
    await_outcome("confirmed");
    CU_ASSERT_EQUAL(n_at(2, OP_PUSH), 1);
    CU_ASSERT_EQUAL(n_at(1, OP_ACK), 1);
    tear_down();
}

static void the_next_result_is_pushed_at_once(void) {
    set_up(2);
    deliver(JOB);
    await_outcome("confirmed");
    CU_ASSERT_EQUAL(n_at(UNKNOWN, OP_FORWARD), 1);
    n_done = 0;
    deliver(JOB + 64);
    await_outcome("confirmed");
    CU_ASSERT_EQUAL(n_at(UNKNOWN, OP_FORWARD), 1);
    CU_ASSERT_EQUAL(n_at(2, OP_PUSH), 2);
    CU_ASSERT_EQUAL(n_at(1, OP_ACK), 2);
    CU_ASSERT_EQUAL(last_at(1, OP_ACK).job, JOB + 64);
    /* The queue has come to the broker of the worker. */
    set_owner(1);
    n_done = 0;
    deliver(JOB + 128);
    await_outcome("confirmed");
    CU_ASSERT_EQUAL(n_at(1, OP_PUSH), 1);
    n_done = 0;
    deliver(JOB + 192);
    await_outcome("confirmed");
    CU_ASSERT_EQUAL(n_at(UNKNOWN, OP_FORWARD), 2);
    tear_down();
}

static void a_result_that_is_refused_is_tried_again(void) {
    set_up(2);
    push_error = "ferry.Full";
    deliver(JOB);
    await_outcome("ferry.Full");
    await(1, OP_RETRY, 1);
    CU_ASSERT_EQUAL(last_at(1, OP_RETRY).job, JOB);
    CU_ASSERT_STRING_EQUAL(last_at(1, OP_RETRY).text,
                           "forwarding the job to 'second' failed: as the script says");
    CU_ASSERT_EQUAL(n_at(UNKNOWN, OP_ACK), 0);
    tear_down();
}

static void a_forward_with_another_answer_has_ended(void) {
    static const char *const errors[] = {"", "ferry.Full"};

    for (int i = 0; i < 2; i++) {
        set_up(2);
        forward_error = errors[i];
        deliver(JOB);
        await_outcome(*errors[i] ? errors[i] : "confirmed");
        CU_ASSERT_EQUAL(ferry_ping(client, NULL, NULL), 0);
        CU_ASSERT_EQUAL(n_at(UNKNOWN, OP_PUSH), 0);
        CU_ASSERT_EQUAL(n_at(UNKNOWN, OP_ACK), 0);
        CU_ASSERT_EQUAL(n_at(UNKNOWN, OP_RETRY), 0);
        tear_down();
    }
}

/* The queue of the job has left, too: the job is settled at its next broker. */
static void a_job_whose_own_queue_moves_is_forwarded(void) {
    set_up(2);
    forward_error = "ferry.Moved";
    deliver(JOB);
    await_outcome("confirmed");
    CU_ASSERT_EQUAL(n_at(2, OP_PUSH), 1);
    CU_ASSERT_EQUAL(n_at(UNKNOWN, OP_EXTEND), 1);
    CU_ASSERT_EQUAL(n_at(UNKNOWN, OP_ACK), 1);
    CU_ASSERT_EQUAL(last_at(UNKNOWN, OP_ACK).job, JOB);
    CU_ASSERT_EQUAL(n_at(UNKNOWN, OP_RETRY), 0);
    tear_down();
}

/* If the broker has stored the result, a push would store it again. */
static void a_result_that_may_be_stored_is_not_pushed(void) {
    set_up(2);
    is_unknown = true;
    deliver(JOB);
    await_outcome("ferry.Moved");
    CU_ASSERT_EQUAL(ferry_ping(client, NULL, NULL), 0);
    CU_ASSERT_EQUAL(n_at(UNKNOWN, OP_PUSH), 0);
    CU_ASSERT_EQUAL(n_at(UNKNOWN, OP_ACK), 0);
    CU_ASSERT_EQUAL(n_at(UNKNOWN, OP_RETRY), 0);
    tear_down();
}

static void a_lost_session_ends_a_forward_without_an_answer(void) {
    set_up(2);
    cuts = true;
    deliver(JOB);
    await_outcome("ferry.ConnectionLost");
    await(1, OP_PULL, 2);
    CU_ASSERT_EQUAL(n_at(UNKNOWN, OP_PUSH), 0);
    tear_down();
}

/* The next session holds the job, and settles it if the broker agrees. */
static void a_lost_session_does_not_end_the_push_of_a_result(void) {
    set_up(UNKNOWN);
    deliver(JOB);
    await(0, OP_PUSH, 1);
    scripted_stop(&brokers[1]);
    scripted_restart(&brokers[1]);
    await(1, OP_PULL, 2);
    set_owner(2);
    await_outcome("confirmed");
    CU_ASSERT_EQUAL(n_at(2, OP_PUSH), 1);
    CU_ASSERT_EQUAL(n_at(1, OP_ACK), 1);
    tear_down();
}

static void a_client_that_closes_finishes_its_forwards(void) {
    for (int at = 0; at < N; at += 2) {
        set_up(at);
        for (int i = 0; i < 10; i++)
            deliver(JOB + i * 64);
        while (n_forwarded < 10)
            turn();
        client = ferry_close(client);
        CU_ASSERT_EQUAL(n_done, 10);
        CU_ASSERT_STRING_EQUAL(outcome, "confirmed");
        CU_ASSERT_EQUAL(n_at(at, OP_PUSH), 10);
        CU_ASSERT_EQUAL(n_at(1, OP_ACK), 10);
        tear_down();
    }
}

static void a_client_that_closes_gives_back_what_it_cannot_forward(void) {
    for (int i = 0; i < 2; i++) {
        set_up(UNKNOWN);
        is_mute = i == 1;
        deliver(JOB);
        await(i == 1 ? 1 : 0, i == 1 ? OP_FORWARD : OP_PUSH, 1);
        client = ferry_close(client);
        CU_ASSERT_EQUAL(n_done, 1);
        CU_ASSERT_STRING_EQUAL(outcome, "ferry.Cancelled");
        CU_ASSERT_EQUAL(n_at(UNKNOWN, OP_ACK), 0);
        CU_ASSERT_EQUAL(n_at(UNKNOWN, OP_RETRY), 0);
        tear_down();
    }
}

static int stop_when_forwarded(ferry_job *job, void *ctx) {
    int r = forward(job, ctx);

    ferry_stop(client);
    return r;
}

static void a_run_that_stops_finishes_its_forwards(void) {
    set_up(2);
    CU_ASSERT_EQUAL(ferry_work(client, "third", NULL, stop_when_forwarded, NULL, NULL, NULL), 0);
    deliver(JOB);
    CU_ASSERT_EQUAL(ferry_run(client, NULL), 0);
    CU_ASSERT_EQUAL(n_done, 1);
    CU_ASSERT_EQUAL(n_at(1, OP_ACK), 1);
    tear_down();
}

/* Beyond the limit the broker would not keep a job for the worker. */
static void forwards_without_an_answer_have_a_limit_of_bytes(void) {
    enum { BYTES = 60000, OVERHEAD = 2000, JOBS = FORWARDS_BYTES_MAX / BYTES + 3 };
    char *large = calloc(1, BYTES);
    uint64_t n_kept = 0;

    set_up(2);
    is_mute = true;
    body = large;
    body_len = BYTES;
    for (int i = 0; i < JOBS; i++) {
        deliver(JOB + (uint64_t)i * 64);
        await(1, OP_FORWARD, i + 1);
        if (i == JOBS / 2) /* together they have more bytes than a sender may use at once */
            say((Message){.op = OP_CREDIT, .credit.bytes = INT32_MAX});
    }
    for (int i = 0; i < n_seen; i++)
        n_kept += seen[i].op == OP_FORWARD && seen[i].keep == 1;
    CU_ASSERT_TRUE(n_kept * BYTES <= FORWARDS_BYTES_MAX);
    CU_ASSERT_TRUE((n_kept + 1) * (BYTES + OVERHEAD) > FORWARDS_BYTES_MAX);
    tear_down();
    free(large);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(a_result_is_pushed_to_the_broker_that_has_the_queue),
        TEST(a_result_waits_until_some_broker_has_the_queue),
        TEST(the_next_result_is_pushed_at_once),
        TEST(a_result_that_is_refused_is_tried_again),
        TEST(a_forward_with_another_answer_has_ended),
        TEST(a_job_whose_own_queue_moves_is_forwarded),
        TEST(a_result_that_may_be_stored_is_not_pushed),
        TEST(a_lost_session_ends_a_forward_without_an_answer),
        TEST(a_lost_session_does_not_end_the_push_of_a_result),
        TEST(a_client_that_closes_finishes_its_forwards),
        TEST(a_client_that_closes_gives_back_what_it_cannot_forward),
        TEST(a_run_that_stops_finishes_its_forwards),
        TEST(forwards_without_an_answer_have_a_limit_of_bytes),
        TESTS_END,
    };

    return run_suite("forwards to queues at other brokers", tests);
}
