/* SPDX-License-Identifier: Apache-2.0 */

/* The broker is one thread, so a turn of its loop may do a limited amount of work; further work is
 * left to later turns, and other clients are served between them. Each test gives the broker much
 * work and counts the turns that it takes, which does not depend on the speed of the machine. */

#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <ferry/ferry.h>

#include "base/clock.h"
#include "support/faults.h"
#include "support/process.h"
#include "support/raw-peer.h"
#include "support/suite.h"

enum {
    MANY = 30000,
    PER_TURN = 1024,        /* the most jobs or entries of a list in one turn: two slices of 512 */
    ANSWER_MS = PATIENCE_MS /* only a hang takes longer */
};

typedef struct Scene {
    Daemon broker;
    ferry_client *observer;
    uint64_t start_ms, turns;
} Scene;

static void scene_start(Scene *scene) {
    daemon_start(&scene->broker, &(DaemonOptions){.tcp = true});
    scene->observer = open_with(scene->broker.url, &(ferry_options){.timeout_ms = ANSWER_MS});
}

/* Begins a session that stays open for up to the whole test, although its messages are not read. */
static int session(Scene *scene, uint64_t credit) {
    int fd = raw_session(scene->broker.port, credit);

    raw_keep_alive(fd);
    return fd;
}

static void scene_end(Scene *scene) {
    ferry_close(scene->observer);
    daemon_end(&scene->broker);
}

/* Call it before the work that is counted. */
static void watch(Scene *scene) {
    scene->start_ms = clock_ms();
    scene->turns = broker_stat(scene->observer, "turns");
}

/* Checks that the work has taken at least this many turns. */
static void check_turns(Scene *scene, uint64_t at_least, const char *format, ...) {
    uint64_t turns = broker_stat(scene->observer, "turns") - scene->turns;
    va_list args;

    printf("\n    ");
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    printf(": %llu turns, at least %llu, in %llu ms", (unsigned long long)turns,
           (unsigned long long)at_least, (unsigned long long)(clock_ms() - scene->start_ms));
    CU_ASSERT(turns >= at_least);
}

static bool stat_reaches(Scene *scene, const char *name, uint64_t n) {
    uint64_t until_ms = clock_ms() + PATIENCE_MS;

    while (broker_stat(scene->observer, name) != n) {
        if (clock_ms() > until_ms)
            return false;
        sleep_ms(20);
    }
    return true;
}

static bool stat_falls(Scene *scene, const char *name, uint64_t to) {
    uint64_t until_ms = clock_ms() + PATIENCE_MS;

    while (broker_stat(scene->observer, name) > to) {
        if (clock_ms() > until_ms)
            return false;
        sleep_ms(20);
    }
    return true;
}

/* A number of ferry.Broker.queue. */
static int64_t count_of(ferry_client *client, const char *queue, const char *what) {
    ferry_reply *reply = NULL;
    uint8_t args[64] = {0x91};
    int64_t n = -1;
    uint32_t left;
    Reader pairs;
    Span key;

    args[1] = (uint8_t)(0xA0 | strlen(queue));
    memcpy(args + 2, queue, strlen(queue));
    if (ferry_call(client, "ferry.Broker.queue", (ferry_bytes){args, 2 + strlen(queue), NULL},
                   &reply, NULL) < 0)
        return -1;
    pairs = pairs_of(span_of(reply->body.data, reply->body.len), &left);
    while (n < 0 && pairs_next(&pairs, &left, &key)) {
        if (span_is(key, what))
            n = (int64_t)reader_uint(&pairs);
        else
            reader_value(&pairs);
    }
    ferry_free(reply);
    return n;
}

static bool count_reaches(ferry_client *client, const char *queue, const char *what, int64_t n) {
    uint64_t until_ms = clock_ms() + PATIENCE_MS;

    while (count_of(client, queue, what) != n) {
        if (clock_ms() > until_ms)
            return false;
        sleep_ms(20);
    }
    return true;
}

/* ---- jobs ---- */

/* Pushes jobs whose delay, or time to live, ends at at_ms, and watches from then on. False: at_ms
 * came before the last push, or before the first turn that is counted. */
static bool push_many(Scene *scene, bool delayed, uint64_t at_ms) {
    ferry_client *client = scene->observer;

    for (int n = 0; n < MANY && clock_ms() < at_ms;) {
        uint64_t ms = at_ms - clock_ms() + 1;
        ferry_push_options options = {.delay_ms = delayed ? ms : 0, .ttl_ms = delayed ? 0 : ms};
        int r = ferry_push_async(client, "due", ferry_str("a job"), &options, NULL, NULL, NULL);

        n += r == 0;
        if (r < 0)
            ferry_process(client, NULL);
    }
    CU_ASSERT_EQUAL(ferry_flush(client, NULL), 0);
    watch(scene);
    return count_of(client, "due", delayed ? "delayed" : "ready") == MANY;
}

static void come_due(bool delayed) {
    uint64_t lead_ms = 2000, at_ms = 0;
    bool pushed = false;
    Scene scene;

    while (!pushed && lead_ms < PATIENCE_MS) {
        scene_start(&scene);
        at_ms = clock_ms() + lead_ms;
        pushed = push_many(&scene, delayed, at_ms);
        if (!pushed)
            scene_end(&scene);
        lead_ms *= 2;
    }
    CU_ASSERT_TRUE_FATAL(pushed);
    sleep_ms(at_ms > clock_ms() ? at_ms - clock_ms() : 0);
    CU_ASSERT_TRUE(count_reaches(scene.observer, "due", delayed ? "ready" : "dead", MANY));
    check_turns(&scene, MANY / PER_TURN, "%d jobs %s", MANY,
                delayed ? "come due" : "reach the end of their time to live");
    scene_end(&scene);
}

static void jobs_that_come_due_at_once_take_many_turns(void) {
    come_due(true);
    come_due(false);
}

/* ---- topics ---- */

/* Publishes n times, as fast as possible, and waits until that is done. %d in `topic`: each time
 * another topic. */
__attribute__((format(printf, 2, 0))) static void flood(int fd, const char *topic, int n) {
    static uint8_t batch[WIRE_BATCH_MAX];
    Message publish = {.op = OP_PUBLISH, .body = span_text("x")};
    char name[256];

    while (n > 0) {
        uint8_t *at = batch + WIRE_HEAD;

        batch[0] = WIRE_MAGIC;
        batch[1] = WIRE_PROTOCOL;
        for (; n > 0 && at + 300 < batch + sizeof(batch); n--) {
            publish.id = n == 1 ? 4711 : 0;
            snprintf(name, sizeof(name), topic, n);
            publish.name = span_text(name);
            at = message_write(at, &publish);
        }
        CU_ASSERT_TRUE(raw_frame(fd, batch, (size_t)(at - batch), 0));
    }
    CU_ASSERT_EQUAL(raw_hear(fd, OP_OK, ANSWER_MS, &(Message){0}), HEARD);
}

static int subscribe_all(int fd, int n, void (*pattern)(char to[256], int i)) {
    int n_taken = 0;

    for (int i = 1; i <= n; i++) {
        char text[256];
        Message answer;

        pattern(text, i);
        raw_say(fd, &(Message){.op = OP_SUBSCRIBE, .id = (uint64_t)i, .name = span_text(text)});
        if (i % 100 != 0 && i != n)
            continue;
        raw_say(fd, &(Message){.op = OP_PING, .id = 1});
        CU_ASSERT_EQUAL(raw_hear(fd, OP_PONG, ANSWER_MS, &answer), HEARD);
        n_taken = i;
    }
    return n_taken;
}

static void the_same(char to[256], int i) {
    (void)i;
    snprintf(to, 256, "a");
}

static int n_sessions;

/* Makes a pattern from the bits of i: 14 tokens, each `a` or a star. */
static void starry(char to[256], int i) {
    int bits = n_sessions * 128 + i;

    *to = '\0';
    for (int k = 0; k < 15; k++, bits >>= 1)
        strcat(to, k == 0 ? "a" : bits & 1 ? ".*" : ".a");
    strcat(to, ".b");
}

static void crowd(const char *what, int sessions, int n, void (*pattern)(char to[256], int i),
                  const char *topic, int n_publishes, uint64_t turns) {
    int fds[200], fd;
    Scene scene;

    scene_start(&scene);
    for (n_sessions = 0; n_sessions < sessions; n_sessions++) {
        fds[n_sessions] = session(&scene, 1 << 20);
        subscribe_all(fds[n_sessions], n, pattern);
    }
    fd = session(&scene, 1 << 20);
    watch(&scene);
    flood(fd, topic, n_publishes);
    check_turns(&scene, turns, "%d publishes beside %d sessions of %d subscriptions each, %s",
                n_publishes, sessions, n, what);
    for (int i = 0; i < sessions; i++)
        raw_close(fds[i]);
    raw_close(fd);
    scene_end(&scene);
}

/* A publish to 10 000 subscriptions is more work than a turn is meant to do. */
static void costly_publishes_take_many_turns(void) {
    crowd("all match", 1, 10000, the_same, "a", 100, 100);
    crowd("all match", 10, 10000, the_same, "a", 20, 20);
    crowd("each another mixture of tokens and stars", 100, 128, starry,
          "a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.c%d", 200, 60);
}

/* ---- many of everything ---- */

/* Reads and drops the received bytes, and the bytes that arrive within wait_ms. */
static void swallow(int fd, int wait_ms) {
    static uint8_t buffer[1 << 20];
    struct pollfd fds = {fd, POLLIN, 0};

    while (poll(&fds, 1, wait_ms) > 0 && recv(fd, buffer, sizeof(buffer), 0) > 0)
        ;
}

/* Makes the i-th of many messages, from 1 on. */
typedef Message (*Nth)(int i);

/* Sends a thousand messages at a time and waits until they are handled: more are not covered by the
 * credit. */
static void say_many(int fd, int n, Nth message_of) {
    static uint8_t batch[WIRE_BATCH_MAX];
    Message ok;

    for (int i = 1; i <= n;) {
        uint8_t *at = batch + WIRE_HEAD;
        uint64_t sync = UINT64_C(1) << 40 | (unsigned)i;

        batch[0] = WIRE_MAGIC;
        batch[1] = WIRE_PROTOCOL;
        for (int end = i + 1000; i <= n && i < end; i++) {
            Message message = message_of(i);

            at = message_write(at, &message);
        }
        at = message_write(at, &(Message){.op = OP_PULL, .id = sync, .name = span_text("sync")});
        at = message_write(at, &(Message){.op = OP_UNPULL, .id = 1, .unpull.pull = sync});
        CU_ASSERT_TRUE(raw_frame(fd, batch, (size_t)(at - batch), 0));
        do {
            CU_ASSERT_EQUAL_FATAL(raw_hear(fd, OP_OK, ANSWER_MS, &ok), HEARD);
        } while (ok.id != sync);
    }
}

static Message nth_call(int i) {
    return (Message){.op = OP_CALL,
                     .id = (uint64_t)i,
                     .call.timeout_ms = 60000,
                     .name = span_text("s.S"),
                     .call.method = span_text("m")};
}

static void calls_lose(bool server_goes) {
    enum { CALLS = 65536 };
    int server, caller;
    uint64_t n;
    Scene scene;

    scene_start(&scene);
    server = session(&scene, UINT64_C(1) << 40);
    caller = session(&scene, UINT64_C(1) << 40);
    raw_say(server,
            &(Message){.op = OP_SERVE, .id = 1, .name = span_text("s.S"), .serve.slots = CALLS});
    CU_ASSERT_EQUAL(raw_hear(server, OP_OK, ANSWER_MS, &(Message){0}), HEARD);
    say_many(caller, CALLS, nth_call);
    swallow(server, 200);
    CU_ASSERT_EQUAL(broker_stat(scene.observer, "calls_open"), CALLS);
    n = broker_stat(scene.observer, "sessions");
    watch(&scene);
    raw_close(server_goes ? server : caller);
    CU_ASSERT_TRUE(stat_reaches(&scene, "sessions", n - 1));
    check_turns(&scene, 1, "the %s of %d calls goes", server_goes ? "server" : "caller", CALLS);
    raw_close(server_goes ? caller : server);
    scene_end(&scene);
}

static Message nth_job(int i) {
    (void)i;
    return (Message){.op = OP_PUSH, .name = span_text("held"), .body = span_text("a job")};
}

static void worker_goes(void) {
    int worker, pusher;
    Scene scene;

    scene_start(&scene);
    worker = session(&scene, UINT64_C(1) << 40);
    pusher = session(&scene, 1 << 20);
    for (uint64_t i = 1; i <= 16; i++)
        raw_say(worker,
                &(Message){.op = OP_PULL, .id = i, .name = span_text("held"), .pull.slots = 65536});
    for (int n = 0; n < MANY; n += 10000) {
        say_many(pusher, 10000, nth_job);
        swallow(worker, 20);
    }
    while (count_of(scene.observer, "held", "held") != MANY)
        swallow(worker, 20);
    watch(&scene);
    raw_close(worker);
    CU_ASSERT_TRUE(count_reaches(scene.observer, "held", "ready", MANY));
    check_turns(&scene, MANY / PER_TURN, "a worker that holds %d jobs goes", MANY);
    raw_close(pusher);
    scene_end(&scene);
}

static void subscriber_goes(void) {
    uint64_t n_before;
    int fd, other;
    Scene scene;

    scene_start(&scene);
    other = session(&scene, 1 << 20);
    n_before = broker_stat(scene.observer, "sessions");
    fd = session(&scene, 1 << 20);
    subscribe_all(fd, 10000, the_same);
    flood(other, "a", 200); /* at most 262144 messages wait for it */
    watch(&scene);
    raw_close(fd);
    CU_ASSERT_TRUE(stat_reaches(&scene, "sessions", n_before));
    check_turns(&scene, 1, "a subscriber goes for which 262144 messages wait");
    raw_close(other);
    scene_end(&scene);
}

static void a_client_with_many_of_everything_ends_in_many_turns(void) {
    calls_lose(true);
    calls_lose(false);
    worker_goes();
    subscriber_goes();
}

static Message nth_question(int i) {
    return (Message){.op = OP_PUBLISH,
                     .id = (uint64_t)i,
                     .publish.flags = PUBLISH_GATHER,
                     .publish.window_ms = 1000,
                     .name = span_text("a")};
}

static void questions_to_many_take_many_turns(void) {
    enum {
        ASKED_MAX = 65536 /* max_calls: the number of questions that a session may leave
                           * unanswered */
    };
    uint64_t before;
    int fd, other;
    Scene scene;

    scene_start(&scene);
    fd = session(&scene, UINT64_C(1) << 40);
    subscribe_all(fd, 10000, the_same);
    other = session(&scene, 1 << 20);
    before = broker_stat(scene.observer, "memory_topics");
    watch(&scene);
    say_many(other, 50, nth_question);
    check_turns(&scene, 50, "50 questions to 10000 subscriptions that answer nothing");
    /* The windows end at about the same time: the questions are forgotten in slices. */
    watch(&scene);
    CU_ASSERT_TRUE(stat_falls(&scene, "memory_topics", before));
    check_turns(&scene, ASKED_MAX / PER_TURN, "the end of these questions");
    raw_close(fd);
    raw_close(other);
    scene_end(&scene);
}

/* ---- many topics and subscribers ---- */

static int n_named; /* names that earlier sessions have used */

static const char *name_of(const char *kind, int i) {
    static char names[1024][64];
    char *name = names[i % 1024];

    snprintf(name, 64, "%s.of.many.%d", kind, n_named + i);
    return name;
}

static Message nth_topic(int i) {
    return (Message){.op = OP_PUBLISH,
                     .publish.flags = PUBLISH_RETAIN,
                     .name = span_text(name_of("topic", i)),
                     .body = span_text("x")};
}

static void new_subscribers_to_many_values_take_many_turns(void) {
    enum { TOPICS = 10000, SUBSCRIBERS = 100 };
    static int fds[SUBSCRIBERS];
    Scene scene;
    int fd;

    scene_start(&scene);
    fd = session(&scene, 1 << 20);
    say_many(fd, TOPICS, nth_topic);
    for (int i = 0; i < SUBSCRIBERS; i++)
        fds[i] = session(&scene, 1 << 20);
    watch(&scene);
    for (int i = 0; i < SUBSCRIBERS; i++)
        raw_say(fds[i], &(Message){.op = OP_SUBSCRIBE, .id = 1, .name = span_text(">")});
    for (int i = 0; i < SUBSCRIBERS; i++) {
        raw_say(fds[i], &(Message){.op = OP_PULL, .id = 7, .name = span_text("sync")});
        CU_ASSERT_EQUAL(raw_hear(fds[i], OP_OK, ANSWER_MS, &(Message){0}), HEARD);
    }
    check_turns(&scene, SUBSCRIBERS, "%d subscribe to %d retained values", SUBSCRIBERS, TOPICS);
    for (int i = 0; i < SUBSCRIBERS; i++)
        raw_close(fds[i]);
    raw_close(fd);
    scene_end(&scene);
}

static void list(const char *method, Nth nth) {
    enum { SESSIONS = 20, N = 10000, CALLS = 3 };
    size_t bytes = 0;
    int fds[SESSIONS];
    Scene scene;

    scene_start(&scene);
    for (int i = 0; i < SESSIONS; i++) {
        fds[i] = session(&scene, 1 << 20);
        n_named = i * (N / SESSIONS);
        say_many(fds[i], N / SESSIONS, nth);
    }
    n_named = 0;
    watch(&scene);
    for (int i = 0; i < CALLS; i++) {
        ferry_reply *reply = NULL;

        CU_ASSERT_EQUAL(ferry_call(scene.observer, method, ferry_str("\x90"), &reply, NULL), 0);
        bytes = reply ? reply->body.len : 0;
        ferry_free(reply);
    }
    CU_ASSERT(bytes > N);
    check_turns(&scene, CALLS * (N / PER_TURN), "%d times %s of %d, %zu bytes each", CALLS, method,
                N, bytes);
    for (int i = 0; i < SESSIONS; i++)
        raw_close(fds[i]);
    scene_end(&scene);
}

static Message nth_queue(int i) {
    return (Message){.op = OP_PUSH, .name = span_text(name_of("queue", i)), .body = span_text("x")};
}

static Message nth_service(int i) {
    return (Message){.op = OP_SERVE, .name = span_text(name_of("service", i)), .serve.slots = 1};
}

static void lists_of_many_take_many_turns(void) {
    list("ferry.Broker.queues", nth_queue);
    list("ferry.Broker.topics", nth_topic);
    list("ferry.Broker.services", nth_service);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(jobs_that_come_due_at_once_take_many_turns),
        TEST(costly_publishes_take_many_turns),
        TEST(a_client_with_many_of_everything_ends_in_many_turns),
        TEST(questions_to_many_take_many_turns),
        TEST(new_subscribers_to_many_values_take_many_turns),
        TEST(lists_of_many_take_many_turns),
        TESTS_END,
    };
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
        if (limit.rlim_max < 2000) {
            printf("skipped: no more than %lu descriptors\n", (unsigned long)limit.rlim_max);
            return 77;
        }
    }
    return run_suite("bounded turns", tests);
}
