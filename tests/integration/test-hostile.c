/* SPDX-License-Identifier: Apache-2.0 */

/* Bytes that no client sends: the broker's answers to them. Other clients are not affected. */

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "support/faults.h"
#include "support/process.h"
#include "support/random.h"
#include "support/raw-peer.h"
#include "support/suite.h"

enum { CONNECTIONS = 10000, CUT_MS = 60000, ANSWER_MS = 60000 };

typedef struct Scene {
    Daemon broker;
    Bystander *bystander;
    size_t rss_kib;
} Scene;

static void set_scene(Scene *scene, const char *config) {
    daemon_start(&scene->broker, &(DaemonOptions){.tcp = true, .config = config});
    scene->bystander = bystander_start(scene->broker.url);
    scene->rss_kib = process_rss_kib(scene->broker.process.pid);
}

static void end_scene(Scene *scene) {
    Noticed noticed = bystander_stop(scene->bystander);
    size_t rss_kib = process_rss_kib(scene->broker.process.pid);

    printf("; beside it %ld calls, %ld failed, median %.2f ms, worst %.1f ms; the broker grew by "
           "%ld KiB",
           noticed.n_calls, noticed.n_failed, noticed.median_ms, noticed.worst_ms,
           (long)rss_kib - (long)scene->rss_kib);
    CU_ASSERT(rss_kib > 0); /* the broker lives */
    CU_ASSERT_EQUAL(noticed.n_failed, 0);
    CU_ASSERT_TRUE(daemon_log_is_clean(&scene->broker));
    daemon_end(&scene->broker);
}

/* ---- before a session ---- */

static void random_bytes_cost_their_connection_alone(void) {
    Dice dice = dice_new(23);
    Scene scene;
    int n = 0;

    set_scene(&scene, NULL);
    for (int i = 0; i < CONNECTIONS; i++) {
        uint8_t bytes[300];
        size_t len = dice_below(&dice, sizeof(bytes));
        int fd = raw_connect(scene.broker.port);

        if (fd < 0)
            continue;
        n++;
        for (size_t k = 0; k < len; k++)
            bytes[k] = (uint8_t)dice_u64(&dice);
        /* Each kind of beginning of ZMTP, too. */
        if (i % 4 == 1 && len > 10)
            memcpy(bytes, "\xFF\0\0\0\0\0\0\0\x01\x7F", 10);
        if (i % 4 == 2 && len > 16)
            memcpy(bytes, "\xFF\0\0\0\0\0\0\0\x01\x7F\x03\0NULL", 16);
        if (i % 16 != 3 || raw_greet(fd, NULL, 0))
            raw_bytes(fd, bytes, len);
        close(fd);
    }
    printf("\n    %d connections of random bytes, seed %llu", n, (unsigned long long)dice.seed);
    CU_ASSERT(n > CONNECTIONS / 2);
    end_scene(&scene);
}

static void other_protocols_are_cut(void) {
    static const char *const texts[] = {
        "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        "SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n",
        "*1\r\n$4\r\nPING\r\n",
        "\x01\x00",
        "\xFF\x00\x00\x00\x00\x00\x00\x00\x01\x7F\x03",
        "",
    };
    enum { N = sizeof(texts) / sizeof(*texts) };
    int fds[N];
    uint64_t start_ms = clock_ms();
    size_t n_told;
    Scene scene;

    set_scene(&scene, NULL);
    for (int i = 0; i < N; i++) {
        fds[i] = raw_connect(scene.broker.port);
        raw_bytes(fds[i], texts[i], strlen(texts[i]));
    }
    for (int i = 0; i < N; i++) {
        CU_ASSERT_TRUE(raw_is_cut(fds[i], CUT_MS));
        close(fds[i]);
    }
    /* The last connection may have been cut a moment before the log has its line. */
    do {
        sleep_ms(10);
        n_told = daemon_log_lines(&scene.broker, "its handshake took too long") +
                 daemon_log_lines(&scene.broker, "it does not speak ZMTP") +
                 daemon_log_lines(&scene.broker, "it speaks ZMTP 1.0");
    } while (n_told < N && clock_ms() < start_ms + CUT_MS);
    CU_ASSERT_EQUAL(n_told, N);
    printf("\n    HTTP, TLS, SSH, Redis, half a greeting, silence: all are cut after %.1f s",
           (double)(clock_ms() - start_ms) / 1000);
    end_scene(&scene);
}

static void a_byte_now_and_then_does_not_keep_a_connection(void) {
    enum { N = 200 };
    static const uint8_t greeting[] = "\xFF\0\0\0\0\0\0\0\x01\x7F\x03\0NULL";
    uint64_t start_ms = clock_ms();
    int fds[N], n_cut = 0;
    Scene scene;

    set_scene(&scene, NULL);
    for (int i = 0; i < N; i++)
        fds[i] = raw_connect(scene.broker.port);
    /* The bytes go on until all connections are cut. */
    for (size_t at = 0; n_cut < N && clock_ms() - start_ms < CUT_MS; at++) {
        n_cut = 0;
        for (int i = 0; i < N; i++)
            n_cut += send(fds[i], greeting + at % 16, 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 &&
                     errno != EAGAIN;
        sleep_ms(500);
    }
    for (int i = 0; i < N; i++)
        close(fds[i]);
    printf("\n    %d connections, a byte each half second: %d cut within %.1f s", N, n_cut,
           (double)(clock_ms() - start_ms) / 1000);
    CU_ASSERT_EQUAL(n_cut, N);
    end_scene(&scene);
}

static void a_peer_that_is_silent_after_the_handshake_is_cut(void) {
    enum { N = 50 };
    uint64_t start_ms = clock_ms();
    int fds[N];
    Scene scene;

    set_scene(&scene, NULL);
    for (int i = 0; i < N; i++) {
        fds[i] = raw_connect(scene.broker.port);
        CU_ASSERT_TRUE(raw_greet(fds[i], NULL, 0));
    }
    for (int i = 0; i < N; i++) {
        CU_ASSERT_TRUE(raw_is_cut(fds[i], 2 * CUT_MS));
        close(fds[i]);
    }
    printf("\n    %d connections, silent after the handshake: all are cut after %.1f s", N,
           (double)(clock_ms() - start_ms) / 1000);
    end_scene(&scene);
}

static void a_peer_that_does_not_begin_with_hello_gets_a_fault(void) {
    static const uint8_t id[16] = "sixteen bytes.. ";
    const Message firsts[] = {
        {.op = OP_PING, .id = 1},
        {.op = OP_CALL, .id = 1, .name = span_text("a.B"), .call.method = span_text("c")},
        {.op = OP_HELLO,
         .hello.version_min = 2,
         .hello.version_max = 9,
         .hello.client = span_of(id, 16)},
        {.op = OP_HELLO,
         .hello.version_min = 1,
         .hello.version_max = 1,
         .hello.client = span_of(id, 15)},
    };
    const char *const types[] = {"ferry.NoSession", "ferry.NoSession", "ferry.Unsupported",
                                 "ferry.Protocol"};
    Message fault;
    Heard heard;
    Scene scene;

    set_scene(&scene, NULL);
    for (int i = 0; i < 4; i++) {
        size_t before = daemon_log_lines(&scene.broker, NULL);
        int fd = raw_connect(scene.broker.port);

        CU_ASSERT_TRUE(raw_greet(fd, NULL, 0));
        CU_ASSERT_TRUE(raw_say(fd, &firsts[i]));
        heard = raw_hear(fd, OP_FAULT, ANSWER_MS, &fault);
        CU_ASSERT_EQUAL(heard, HEARD);
        CU_ASSERT_STRING_EQUAL(raw_error_text(fault.fault.map, "type"), types[i]);
        CU_ASSERT_TRUE(raw_is_cut(fd, CUT_MS));
        CU_ASSERT_EQUAL(daemon_log_lines(&scene.broker, NULL) - before, 1);
        close(fd);
    }
    printf("\n    no HELLO, other versions: told and cut");
    end_scene(&scene);
}

static void frames_that_no_client_sends_are_cut(void) {
    uint8_t batch[] = {WIRE_MAGIC, WIRE_PROTOCOL, 0x91, OP_PING};
    static uint8_t large[WIRE_BATCH_MAX + 1] = {WIRE_MAGIC, WIRE_PROTOCOL};
    static const char *const problems[] = {"more than one frame", "more than one frame",
                                           "a message is too large"};
    Scene scene;

    set_scene(&scene, NULL);
    for (int i = 0; i < 3; i++) {
        size_t before = daemon_log_lines(&scene.broker, problems[i]);
        int fd = raw_connect(scene.broker.port);

        CU_ASSERT_TRUE(raw_greet(fd, NULL, 0));
        if (i == 0) { /* a frame that is one of two */
            raw_frame(fd, batch, sizeof(batch), RAW_MORE);
            raw_frame(fd, batch, sizeof(batch), 0);
        } else if (i == 1) { /* very many frames */
            for (int k = 0; k < 10000; k++)
                raw_frame(fd, batch, sizeof(batch), RAW_MORE);
            raw_frame(fd, batch, sizeof(batch), 0);
        } else { /* a frame that is too large */
            raw_frame(fd, large, sizeof(large), 0);
        }
        CU_ASSERT_TRUE(raw_is_cut(fd, CUT_MS));
        CU_ASSERT_EQUAL(daemon_log_lines(&scene.broker, problems[i]), before + 1);
        close(fd);
    }
    CU_ASSERT_EQUAL(daemon_log_lines(&scene.broker, "a connection is refused: peer=127.0.0.1:"), 3);
    printf("\n    many frames, a frame too large: cut");
    end_scene(&scene);
}

/* ---- in a session ---- */

/* Sends a batch with these bytes as messages. True: the connection got FAULT, was cut, and has one
 * line in the log. */
static bool is_faulted_once(Scene *scene, const void *messages, size_t len) {
    static uint8_t batch[WIRE_BATCH_MAX];
    int fd = raw_session(scene->broker.port, 1 << 20);
    size_t before = daemon_log_lines(&scene->broker, NULL);
    Message fault;
    Heard heard;
    bool yes;

    batch[0] = WIRE_MAGIC;
    batch[1] = WIRE_PROTOCOL;
    memcpy(batch + WIRE_HEAD, messages, len);
    yes = fd >= 0 && raw_frame(fd, batch, WIRE_HEAD + len, 0);
    heard = raw_hear(fd, OP_FAULT, ANSWER_MS, &fault);
    yes = yes && heard == HEARD &&
          strcmp(raw_error_text(fault.fault.map, "type"), "ferry.Protocol") == 0 &&
          raw_is_cut(fd, CUT_MS) && daemon_log_lines(&scene->broker, NULL) == before + 1;
    close(fd);
    return yes;
}

static void a_batch_that_is_too_large_is_cut_at_its_head(void) {
    static const size_t sizes[] = {WIRE_BATCH_MAX + 1, 2 * WIRE_BATCH_MAX, SIZE_MAX / 2};
    Scene scene;

    set_scene(&scene, NULL);
    for (size_t i = 0; i < 3; i++) {
        int fd = raw_session(scene.broker.port, 1 << 20);
        uint8_t head[9] = {2};

        for (int k = 0; k < 8; k++)
            head[1 + k] = (uint8_t)((uint64_t)sizes[i] >> (56 - 8 * k));
        CU_ASSERT_TRUE(raw_bytes(fd, head, sizeof(head)));
        CU_ASSERT_TRUE(raw_is_cut(fd, CUT_MS));
        close(fd);
    }
    CU_ASSERT_EQUAL(daemon_log_lines(&scene.broker, "a message is too large"), 3);
    printf("\n    batches of more than 640 KiB: cut at their head, and a line that says so");
    end_scene(&scene);
}

/* A broker waits 50 ms until its FAULT is sent: on a busy machine this may be too short once. */
static bool is_faulted(Scene *scene, const void *messages, size_t len) {
    return is_faulted_once(scene, messages, len) || is_faulted_once(scene, messages, len) ||
           is_faulted_once(scene, messages, len);
}

static void batches_that_are_broken_get_a_fault(void) {
    static const struct {
        const char *what;
        size_t len;
        const char *bytes;
    } broken[] = {
        {"not an array", 1, "\x01"},
        {"an empty array", 1, "\x90"},
        {"an unknown op", 2, "\x91\x63"},
        {"an array that lies", 5, "\xdd\xff\xff\xff\xff"},
        {"a body that lies", 15,
         "\x97\x22\x00\x00\x00\xa3"
         "a.b"
         "\xc0\xc6\x7f\xff\xff\xff"},
        {"a name that lies", 10, "\x97\x22\x00\x00\x00\xdb\xff\xff\xff\xff"},
        {"a map that lies", 14,
         "\x97\x22\x00\x00\x00\xa3"
         "a.b"
         "\xdf\xff\xff\xff\xff"},
        {"an id of text", 5,
         "\x92\x16\xa2"
         "17"},
        {"an id below zero", 3, "\x92\x16\xff"},
        {"for clients alone", 7, "\x95\x33\x01\x01\x01\xc0\xc0"},
        {"control with others", 7, "\x91\x03\x92\x16\x01\x91\x03"},
    };
    enum { N = sizeof(broken) / sizeof(*broken), DEEP = 10000 };
    static uint8_t deep[DEEP + 8] = {0x97, 0x30, 0x00, 0x00, 0xa1, 'q', 0x81};
    Scene scene;

    set_scene(&scene, NULL);
    for (int i = 0; i < N; i++)
        if (!is_faulted(&scene, broken[i].bytes, broken[i].len)) {
            printf("\n    %s: no FAULT", broken[i].what);
            CU_FAIL("no FAULT");
        }
    memset(deep + 7, 0x91, DEEP);
    CU_ASSERT_TRUE(is_faulted(&scene, deep, DEEP + 7));
    printf("\n    %d kinds of broken batches, one nested %d deep: each FAULT, one line, cut", N + 1,
           DEEP);
    end_scene(&scene);
}

static void a_batch_cut_anywhere_gets_a_fault(void) {
    uint8_t batch[256], *end;
    int n = 0, n_faulted = 0;
    Scene scene;

    set_scene(&scene, NULL);
    end = message_write(batch, &(Message){.op = OP_CALL,
                                          .id = 1,
                                          .call.timeout_ms = 1000,
                                          .name = span_text("calc.Calc"),
                                          .call.method = span_text("add"),
                                          .body = span_text("0123456789")});
    for (uint8_t *cut = batch + 1; cut < end - 1; cut++) {
        n++;
        n_faulted += is_faulted(&scene, batch, (size_t)(cut - batch));
    }
    printf("\n    a CALL cut at %d places: %d FAULTs", n, n_faulted);
    /* The last field of the message may be left out. */
    CU_ASSERT(n_faulted >= n - 1);
    end_scene(&scene);
}

/* Checks that the message is answered with an error of this type, and that the session
 * continues. */
static void is_refused(int fd, const Message *message, const char *type) {
    Message error;

    CU_ASSERT_TRUE(raw_say(fd, message));
    CU_ASSERT_EQUAL_FATAL(raw_hear(fd, OP_ERROR, ANSWER_MS, &error), HEARD);
    CU_ASSERT_EQUAL(error.id, message->id);
    CU_ASSERT_STRING_EQUAL(raw_error_text(error.error.map, "type"), type);
}

static void meaningless_messages_get_an_error_and_nothing_else(void) {
    static const char bad[] = "a\nb";
    static uint8_t part[64 * 1024];
    uint64_t id = 0;
    Message pong;
    Scene scene;
    int fd;

    set_scene(&scene, "[broker]\nmax_body = 200K\n");
    fd = raw_session(scene.broker.port, 1 << 20);
    CU_ASSERT_FATAL(fd >= 0);
    is_refused(fd, &(Message){.op = OP_SUBSCRIBE, .id = ++id, .name = span_text(bad)},
               "ferry.InvalidArgument");
    is_refused(fd, &(Message){.op = OP_SERVE, .id = ++id, .name = span_text(bad)},
               "ferry.InvalidArgument");
    is_refused(fd, &(Message){.op = OP_PULL, .id = ++id, .name = span_text(bad)},
               "ferry.InvalidArgument");
    is_refused(fd, &(Message){.op = OP_PUSH, .id = ++id, .name = span_of("a\0b", 3)},
               "ferry.InvalidArgument");
    is_refused(fd, &(Message){.op = OP_SERVE, .id = ++id, .name = span_text("ferry.Broker")},
               "ferry.PermissionDenied");
    is_refused(fd, &(Message){.op = OP_ACK, .id = ++id, .settle.job = 12345, .settle.attempt = 1},
               "ferry.LeaseLost");
    is_refused(fd, &(Message){.op = OP_UNSUBSCRIBE, .id = ++id, .unsubscribe.sub = 99},
               "ferry.NotFound");

    /* Answers without a request, and messages of a later version, have no effect. */
    raw_say(fd, &(Message){.op = OP_OK, .id = 7});
    raw_say(fd, &(Message){.op = OP_CANCEL, .id = 4711});
    raw_say(fd, &(Message){.op = OP_ANSWER, .answer.reply = 1});
    raw_frame(fd, "\xf7\x01\x92\xcc\xc8\x01", 6, 0);

    /* A body in parts that is larger than max_body. */
    for (int i = 0; i < 5; i++)
        raw_say(fd,
                &(Message){.op = OP_PART, .part.transfer = 1, .body = span_of(part, sizeof(part))});
    is_refused(fd,
               &(Message){.op = OP_PUSH, .id = ++id, .name = span_text("q"), .body_transfer = 1},
               "ferry.TooBig");
    CU_ASSERT_TRUE(raw_say(fd, &(Message){.op = OP_PING, .id = 5}));
    CU_ASSERT_EQUAL(raw_hear(fd, OP_PONG, ANSWER_MS, &pong), HEARD);
    close(fd);
    printf(
        "\n    names, jobs, answers that make no sense: an error each, and the session continues");
    end_scene(&scene);
}

static void two_servers_cannot_share_an_instance(void) {
    const Message serve = {.op = OP_SERVE,
                           .id = 1,
                           .name = span_text("twin.Twin"),
                           .serve.instance = span_text("one")};
    Message ok;
    Scene scene;
    int a, b;

    set_scene(&scene, NULL);
    a = raw_session(scene.broker.port, 1 << 20);
    b = raw_session(scene.broker.port, 1 << 20);
    CU_ASSERT_TRUE(raw_say(a, &serve));
    CU_ASSERT_EQUAL(raw_hear(a, OP_OK, ANSWER_MS, &ok), HEARD);
    is_refused(b, &serve, "ferry.AlreadyExists");
    close(a);
    close(b);
    printf("\n    an instance twice: the second is refused");
    end_scene(&scene);
}

static void only_the_server_of_a_call_can_answer_it(void) {
    int caller, server, forger;
    Message got;
    Scene scene;

    set_scene(&scene, NULL);
    caller = raw_session(scene.broker.port, 1 << 20);
    server = raw_session(scene.broker.port, 1 << 20);
    forger = raw_session(scene.broker.port, 1 << 20);
    raw_say(server, &(Message){.op = OP_SERVE, .id = 1, .name = span_text("s.S")});
    CU_ASSERT_EQUAL(raw_hear(server, OP_OK, ANSWER_MS, &got), HEARD);
    raw_say(caller, &(Message){.op = OP_CALL,
                               .id = 1,
                               .call.timeout_ms = 120000,
                               .name = span_text("s.S"),
                               .call.method = span_text("m"),
                               .body = span_text("x")});
    CU_ASSERT_EQUAL_FATAL(raw_hear(server, OP_CALL, ANSWER_MS, &got), HEARD);

    /* The wrong server knows the number of the call, and tries it and the numbers around it. */
    for (uint64_t id = got.id > 500 ? got.id - 500 : 1, end = got.id + 500; id < end; id++)
        raw_say(forger, &(Message){.op = OP_OK, .id = id, .body = span_text("forged")});
    raw_say(forger, &(Message){.op = OP_PING, .id = 1});
    CU_ASSERT_EQUAL(raw_hear(forger, OP_PONG, ANSWER_MS, &(Message){0}), HEARD);

    raw_say(server, &(Message){.op = OP_OK, .id = got.id, .body = span_text("true")});
    CU_ASSERT_EQUAL_FATAL(raw_hear(caller, OP_OK, ANSWER_MS, &got), HEARD);
    CU_ASSERT(got.body.len == 4 && memcmp(got.body.data, "true", 4) == 0);
    close(caller);
    close(server);
    close(forger);
    printf("\n    1000 forged answers, the right number among them: none taken");
    end_scene(&scene);
}

static void a_peer_that_reads_nothing_is_cut_at_its_limit(void) {
    uint8_t pings[WIRE_HEAD + 3 * 1000] = {WIRE_MAGIC, WIRE_PROTOCOL};
    uint64_t until_ms;
    long n = 0;
    Scene scene;
    int fd;

    for (int i = 0; i < 1000; i++)
        memcpy(pings + WIRE_HEAD + 3 * i, "\x92\x03\x01", 3);
    set_scene(&scene, NULL);
    fd = raw_session(scene.broker.port, 1 << 20);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    until_ms = clock_ms() + 1000;
    while (clock_ms() < until_ms) {
        if (!raw_frame(fd, pings, sizeof(pings), 0))
            break;
        n += 1000;
    }
    close(fd);
    printf("\n    %ld PINGs by a peer that reads nothing", n);
    CU_ASSERT(process_rss_kib(scene.broker.process.pid) < scene.rss_kib + 16 * 1024 ||
              scene.rss_kib > 100 * 1024);
    end_scene(&scene);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(random_bytes_cost_their_connection_alone),
        TEST(other_protocols_are_cut),
        TEST(a_byte_now_and_then_does_not_keep_a_connection),
        TEST(a_peer_that_is_silent_after_the_handshake_is_cut),
        TEST(a_peer_that_does_not_begin_with_hello_gets_a_fault),
        TEST(frames_that_no_client_sends_are_cut),
        TEST(a_batch_that_is_too_large_is_cut_at_its_head),
        TEST(batches_that_are_broken_get_a_fault),
        TEST(a_batch_cut_anywhere_gets_a_fault),
        TEST(meaningless_messages_get_an_error_and_nothing_else),
        TEST(two_servers_cannot_share_an_instance),
        TEST(only_the_server_of_a_call_can_answer_it),
        TEST(a_peer_that_reads_nothing_is_cut_at_its_limit),
        TESTS_END,
    };

    return run_suite("hostile bytes", tests);
}
