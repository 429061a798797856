/* The broker is one thread: nothing that a peer sends, and nothing that comes due, may hold up the
 * others for long. What each of them does, and how long a call beside it takes at worst. */

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

enum { ANSWER_MS = 60000 };

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { MANY = 100000, WORST_MS = 1500 };
#else
enum { MANY = 1000000, WORST_MS = 150 };
#endif

/* A broker, and somebody who calls beside what is done to it. */
typedef struct Scene {
    Daemon broker;
    Bystander *bystander;
    uint64_t start_ms;
} Scene;

static void watch(Scene *scene) {
    scene->bystander = bystander_start(scene->broker.url);
    scene->start_ms = clock_ms();
}

/* What is done, once; returns what the bystander noticed. */
typedef Noticed (*Sitting)(void);

static Noticed watched(Scene *scene, const char *format, ...) {
    uint64_t took_ms = clock_ms() - scene->start_ms;
    Noticed noticed = bystander_stop(scene->bystander);
    va_list args;

    printf("\n    ");
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    printf(": %llu ms; beside it %ld calls, median %.2f ms, worst %.1f ms",
           (unsigned long long)took_ms, noticed.n_calls, noticed.median_ms, noticed.worst_ms);
    return noticed;
}

/* A machine with other work may hold everybody up once, not each time. */
static void disturbs_nobody(Sitting sit) {
    Noticed noticed = sit();

    for (int i = 0; i < 2 && noticed.worst_ms >= WORST_MS; i++)
        noticed = sit();
    CU_ASSERT_EQUAL(noticed.n_failed, 0);
    CU_ASSERT(noticed.worst_ms < WORST_MS);
}

/* One number of ferry.Broker.queue. */
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

/* Their delay, or their time to live, ends at_ms, or a moment later. */
static void push_many(ferry_client *client, const char *queue, bool delayed, uint64_t at_ms) {
    int n = 0;

    while (n < MANY && clock_ms() < at_ms) {
        uint64_t ms = at_ms - clock_ms();
        ferry_push_options options = {.delay_ms = delayed ? ms : 0, .ttl_ms = delayed ? 0 : ms};
        int r = ferry_push_async(client, queue, ferry_str("a job"), &options, NULL, NULL);

        n += r == 0;
        if (r < 0)
            ferry_process(client, NULL);
    }
    CU_ASSERT_EQUAL_FATAL(n, MANY);
    CU_ASSERT_EQUAL(ferry_flush(client, NULL), 0);
}

static Noticed come_due(bool delayed) {
    uint64_t at_ms = clock_ms() + 6000;
    ferry_client *client;
    Noticed noticed;
    Scene scene;

    daemon_start(&scene.broker, &(DaemonOptions){0});
    client = open_with(scene.broker.url, NULL);
    push_many(client, "due", delayed, at_ms);
    watch(&scene);
    sleep_ms(at_ms > clock_ms() ? at_ms - clock_ms() : 0);
    scene.start_ms = clock_ms();
    CU_ASSERT_TRUE(count_reaches(client, "due", delayed ? "ready" : "dead", MANY));
    noticed =
        watched(&scene, "%d jobs %s", MANY, delayed ? "that come due" : "whose time to live ends");
    ferry_close(client);
    daemon_end(&scene.broker);
    return noticed;
}

static Noticed delays_end(void) {
    return come_due(true);
}

static Noticed lives_end(void) {
    return come_due(false);
}

static void a_million_jobs_that_come_due_at_once_disturb_nobody(void) {
    disturbs_nobody(delays_end);
    disturbs_nobody(lives_end);
}

/* ---- topics ---- */

/* Publishes n times, as fast as it can, and waits until that is done. %d in a topic: each time to
 * another. */
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

/* By the bits of i: 14 tokens, each a or a star. */
static void starry(char to[256], int i) {
    int bits = n_sessions * 128 + i;

    *to = '\0';
    for (int k = 0; k < 15; k++, bits >>= 1)
        strcat(to, k == 0 ? "a" : bits & 1 ? ".*" : ".a");
    strcat(to, ".b");
}

static void deep(char to[256], int i) {
    strcpy(to, "a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a");
    snprintf(to + strlen(to), 200, ".%d.%d", n_sessions, i);
}

static Noticed crowd(const char *what, int sessions, int n, void (*pattern)(char to[256], int i),
                     const char *topic, int n_publishes) {
    Noticed noticed;
    int fds[200], fd;
    Scene scene;

    daemon_start(&scene.broker, &(DaemonOptions){.tcp = true});
    for (n_sessions = 0; n_sessions < sessions; n_sessions++) {
        fds[n_sessions] = raw_session(scene.broker.port, 1 << 20);
        subscribe_all(fds[n_sessions], n, pattern);
    }
    fd = raw_session(scene.broker.port, 1 << 20);
    watch(&scene);
    flood(fd, topic, n_publishes);
    noticed = watched(&scene, "%d publishes beside %d sessions of %d subscriptions each, %s",
                      n_publishes, sessions, n, what);
    for (int i = 0; i < sessions; i++)
        close(fds[i]);
    close(fd);
    daemon_end(&scene.broker);
    return noticed;
}

static Noticed publish_to_ten_thousand(void) {
    return crowd("all match", 1, 10000, the_same, "a", 5000);
}

static Noticed publish_to_a_hundred_thousand(void) {
    return crowd("all match", 10, 10000, the_same, "a", 200);
}

static Noticed publish_past_stars(void) {
    return crowd("each another mixture of tokens and stars", 100, 128, starry,
                 "a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.c%d", 2000);
}

static Noticed publish_past_deep_ones(void) {
    return crowd("of 18 tokens", 10, 10000, deep, "a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.b.c%d", 1000);
}

static void publishes_that_cost_much_disturb_nobody(void) {
    disturbs_nobody(publish_to_ten_thousand);
    disturbs_nobody(publish_to_a_hundred_thousand);
    disturbs_nobody(publish_past_stars);
    disturbs_nobody(publish_past_deep_ones);
}

/* ---- many of everything ---- */

/* Reads and forgets what has come, and what comes within wait_ms of it. */
static void swallow(int fd, int wait_ms) {
    static uint8_t buffer[1 << 20];
    struct pollfd fds = {fd, POLLIN, 0};

    while (poll(&fds, 1, wait_ms) > 0 && recv(fd, buffer, sizeof(buffer), 0) > 0)
        ;
}

/* The i-th of many messages, from 1 on. */
typedef Message (*Nth)(int i);

/* A thousand at a time, each time waiting until they are handled: no more than credit allows. */
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
        at = message_write(at, &(Message){.op = OP_UNPULL, .id = 1, .pull = sync});
        CU_ASSERT_TRUE(raw_frame(fd, batch, (size_t)(at - batch), 0));
        do {
            CU_ASSERT_EQUAL_FATAL(raw_hear(fd, OP_OK, ANSWER_MS, &ok), HEARD);
        } while (ok.id != sync);
    }
}

static int endless_session(const Scene *scene) {
    return raw_session(scene->broker.port, UINT64_C(1) << 40);
}

static Message nth_call(int i) {
    return (Message){.op = OP_CALL,
                     .id = (uint64_t)i,
                     .timeout_ms = 60000,
                     .name = span_text("s.S"),
                     .method = span_text("m")};
}

static Noticed calls_lose(bool server_goes) {
    enum { CALLS = 65536 };
    int server, caller;
    Noticed noticed;
    Scene scene;

    daemon_start(&scene.broker, &(DaemonOptions){.tcp = true});
    server = endless_session(&scene);
    caller = endless_session(&scene);
    raw_say(server, &(Message){.op = OP_SERVE, .id = 1, .name = span_text("s.S"), .slots = CALLS});
    CU_ASSERT_EQUAL(raw_hear(server, OP_OK, ANSWER_MS, &(Message){0}), HEARD);
    say_many(caller, CALLS, nth_call);
    swallow(server, 200);
    watch(&scene);
    close(server_goes ? server : caller);
    sleep_ms(500);
    noticed = watched(&scene, "the %s of %d calls goes", server_goes ? "server" : "caller", CALLS);
    close(server_goes ? caller : server);
    daemon_end(&scene.broker);
    return noticed;
}

static Noticed server_goes(void) {
    return calls_lose(true);
}

static Noticed caller_goes(void) {
    return calls_lose(false);
}

static Message nth_job(int i) {
    (void)i;
    return (Message){.op = OP_PUSH, .name = span_text("held"), .body = span_text("a job")};
}

static Noticed worker_goes(void) {
    int worker, pusher;
    ferry_client *client;
    Noticed noticed;
    Scene scene;

    daemon_start(&scene.broker, &(DaemonOptions){.tcp = true});
    client = open_with(scene.broker.url, NULL);
    worker = endless_session(&scene);
    pusher = raw_session(scene.broker.port, 1 << 20);
    for (uint64_t i = 1; i <= 16; i++)
        raw_say(worker,
                &(Message){.op = OP_PULL, .id = i, .name = span_text("held"), .slots = 65536});
    for (int n = 0; n < MANY; n += 50000) {
        say_many(pusher, 50000, nth_job);
        swallow(worker, 20);
    }
    swallow(worker, 200);
    CU_ASSERT_EQUAL(count_of(client, "held", "held"), MANY);
    watch(&scene);
    close(worker);
    CU_ASSERT_TRUE(count_reaches(client, "held", "ready", MANY));
    noticed = watched(&scene, "a worker that holds %d jobs goes", MANY);
    close(pusher);
    ferry_close(client);
    daemon_end(&scene.broker);
    return noticed;
}

static Noticed subscriber_goes(void) {
    Noticed noticed;
    int fd, other;
    Scene scene;

    daemon_start(&scene.broker, &(DaemonOptions){.tcp = true});
    fd = raw_session(scene.broker.port, 1 << 20);
    subscribe_all(fd, 10000, the_same);
    other = raw_session(scene.broker.port, 1 << 20);
    flood(other, "a", 200);
    watch(&scene);
    close(fd);
    sleep_ms(500);
    noticed = watched(&scene, "a subscriber goes for which 262144 messages wait");
    close(other);
    daemon_end(&scene.broker);
    return noticed;
}

static void who_goes_with_many_of_everything_disturbs_nobody(void) {
    disturbs_nobody(server_goes);
    disturbs_nobody(caller_goes);
    disturbs_nobody(worker_goes);
    disturbs_nobody(subscriber_goes);
}

static Message nth_question(int i) {
    return (Message){.op = OP_PUBLISH,
                     .id = (uint64_t)i,
                     .flags = PUBLISH_GATHER,
                     .window_ms = 1000,
                     .name = span_text("a")};
}

static Noticed ask(void) {
    Noticed noticed;
    int fd, other;
    Scene scene;

    daemon_start(&scene.broker, &(DaemonOptions){.tcp = true});
    fd = endless_session(&scene);
    subscribe_all(fd, 10000, the_same);
    other = raw_session(scene.broker.port, 1 << 20);
    watch(&scene);
    say_many(other, 200, nth_question);
    sleep_ms(1500); /* their windows end */
    say_many(other, 200, nth_question);
    close(fd);
    sleep_ms(500);
    noticed = watched(&scene, "twice 200 questions to 10000 subscriptions that answer nothing");
    close(other);
    daemon_end(&scene.broker);
    return noticed;
}

static void questions_to_many_disturb_nobody(void) {
    disturbs_nobody(ask);
}

/* ---- what there is ---- */

static const char *name_of(const char *kind, int i) {
    static char names[1024][64];
    char *name = names[i % 1024];

    snprintf(name, 64, "%s.of.many.%d", kind, i);
    return name;
}

static Message nth_topic(int i) {
    return (Message){.op = OP_PUBLISH,
                     .flags = PUBLISH_RETAIN,
                     .name = span_text(name_of("topic", i)),
                     .body = span_text("x")};
}

static Noticed retained(void) {
    enum { TOPICS = 10000, SUBSCRIBERS = 1000 };
    static int fds[SUBSCRIBERS];
    Noticed noticed;
    Scene scene;
    int fd;

    daemon_start(&scene.broker, &(DaemonOptions){.tcp = true});
    fd = raw_session(scene.broker.port, 1 << 20);
    say_many(fd, TOPICS, nth_topic);
    for (int i = 0; i < SUBSCRIBERS; i++)
        fds[i] = raw_session(scene.broker.port, 1 << 20);
    watch(&scene);
    for (int i = 0; i < SUBSCRIBERS; i++)
        raw_say(fds[i], &(Message){.op = OP_SUBSCRIBE, .id = 1, .name = span_text(">")});
    for (int i = 0; i < SUBSCRIBERS; i++) {
        raw_say(fds[i], &(Message){.op = OP_PULL, .id = 7, .name = span_text("sync")});
        CU_ASSERT_EQUAL(raw_hear(fds[i], OP_OK, ANSWER_MS, &(Message){0}), HEARD);
    }
    noticed = watched(&scene, "%d subscribe to %d retained values", SUBSCRIBERS, TOPICS);
    for (int i = 0; i < SUBSCRIBERS; i++)
        close(fds[i]);
    close(fd);
    daemon_end(&scene.broker);
    return noticed;
}

static void new_subscribers_to_many_values_disturb_nobody(void) {
    disturbs_nobody(retained);
}

static Noticed list(const char *method, Nth nth) {
    enum { N = 100000, CALLS = 5 };
    ferry_options patient = {.timeout_ms = ANSWER_MS};
    ferry_client *client;
    size_t bytes = 0;
    Noticed noticed;
    Scene scene;
    int fd;

    daemon_start(&scene.broker, &(DaemonOptions){.tcp = true});
    fd = raw_session(scene.broker.port, 1 << 20);
    say_many(fd, N, nth);
    client = open_with(scene.broker.url, &patient);
    watch(&scene);
    for (int i = 0; i < CALLS; i++) {
        ferry_reply *reply = NULL;

        CU_ASSERT_EQUAL(ferry_call(client, method, ferry_str("\x90"), &reply, NULL), 0);
        bytes = reply ? reply->body.len : 0;
        ferry_free(reply);
    }
    CU_ASSERT(bytes > N);
    noticed = watched(&scene, "%d times %s of %d, %zu bytes each", CALLS, method, N, bytes);
    ferry_close(client);
    close(fd);
    daemon_end(&scene.broker);
    return noticed;
}

static Message nth_queue(int i) {
    return (Message){.op = OP_PUSH, .name = span_text(name_of("queue", i)), .body = span_text("x")};
}

static Noticed list_queues(void) {
    return list("ferry.Broker.queues", nth_queue);
}

static Noticed list_topics(void) {
    return list("ferry.Broker.topics", nth_topic);
}

static void lists_of_a_hundred_thousand_disturb_nobody(void) {
    disturbs_nobody(list_queues);
    disturbs_nobody(list_topics);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(a_million_jobs_that_come_due_at_once_disturb_nobody),
        TEST(publishes_that_cost_much_disturb_nobody),
        TEST(who_goes_with_many_of_everything_disturbs_nobody),
        TEST(questions_to_many_disturb_nobody),
        TEST(new_subscribers_to_many_values_disturb_nobody),
        TEST(lists_of_a_hundred_thousand_disturb_nobody),
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
    return run_suite("long turns", tests);
}
