/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Peers that try to stop the broker or to fill its memory, one kind after another. Each is cut or
 * bounded, and logged with its address; the broker gets its memory back; another client is served
 * during the attack.
 */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/clock.h"
#include "support/faults.h"
#include "support/process.h"
#include "support/raw-peer.h"
#include "support/suite.h"

/* Allowed besides a tenth of the earlier resident memory, which is 3 MiB: pages of the program that
 * had not been read before, and pages of malloc that a small block keeps. */
enum { PAGES_KIB = 1 << 10 };

enum { CUT_MS = 60000, ANSWER_MS = 60000, MEMORY = 64 << 20, BODY = 4 << 20, FLAG_COMMAND = 4 };

/* ---- the scene ---- */

typedef struct Attack {
    const char *name;
    void (*run)(uint16_t port);
    const char *logged; /* a part of its line in the log; NULL: the peer makes no mistake */
} Attack;

/* The largest resident size of the broker so far, in KiB; 0: the broker is gone. */
static size_t peak_kib(const Daemon *broker) {
    char path[64], line[256];
    size_t kib = 0;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%d/status", (int)broker->process.pid);
    file = fopen(path, "r");
    while (file && kib == 0 && fgets(line, sizeof(line), file))
        sscanf(line, "VmHWM: %zu", &kib);
    if (file)
        fclose(file);
    return kib;
}

/* Waits until only the observer and the bystander are connected, and the memory of other peers is
 * given back. */
static uint64_t used_afterwards(ferry_client *observer, uint64_t before) {
    uint64_t until_ms = clock_ms() + PATIENCE_MS, used;

    do {
        usleep(10000);
        used = broker_stat(observer, "memory_used");
    } while (used > before + before / 10 + (128 << 10) && clock_ms() < until_ms);
    return used;
}

#ifndef SANITIZED
/* Waits until the broker has given back the memory that it keeps for later messages, and has as
 * much as before, or until the time is over. */
static size_t rss_afterwards(const Daemon *broker, size_t before_kib) {
    uint64_t until_ms = clock_ms() + PATIENCE_MS;
    size_t kib;

    do {
        kill(broker->process.pid, SIGUSR1);
        usleep(100000);
        kib = process_rss_kib(broker->process.pid);
    } while (kib > before_kib + before_kib / 10 + PAGES_KIB && clock_ms() < until_ms);
    return kib;
}
#endif

/*
 * The attack runs twice: memory that stays in pools and tables after the first run is no leak, but
 * the second run must not add to it.
 */
static void endure(const Attack *attack) {
    uint64_t before = 0, used = 0;
    size_t fresh_kib, after_kib = 0;
    ferry_client *observer;
    Bystander *bystander;
    Noticed noticed;
    Daemon broker;

    daemon_start(&broker, &(DaemonOptions){.tcp = true,
                                           .config = "[broker]\nmax_memory = 64M\n"
                                                     "client_memory = 100ms\n"});
    observer = open_with(broker.url, &(ferry_options){.timeout_ms = PATIENCE_MS});
    bystander = bystander_start(broker.url);
    fresh_kib = process_rss_kib(broker.process.pid);
    for (int round = 0; round < 2; round++) {
        before = broker_stat(observer, "memory_used");
        attack->run(broker.port);
        used = used_afterwards(observer, before);
    }
    noticed = bystander_stop(bystander);
    CU_ASSERT_TRUE(used <= before + before / 10 + (128 << 10));
    CU_ASSERT_TRUE(noticed.n_calls > 0);
    CU_ASSERT_EQUAL(noticed.n_failed, 0);
    if (attack->logged)
        CU_ASSERT_TRUE(daemon_log_lines(&broker, attack->logged) > 0);
#ifndef SANITIZED
    after_kib = rss_afterwards(&broker, fresh_kib);
    CU_ASSERT_TRUE(after_kib <= fresh_kib + fresh_kib / 10 + PAGES_KIB);
    CU_ASSERT_TRUE(peak_kib(&broker) < 2 * (MEMORY >> 10));
#endif
    CU_ASSERT_TRUE(peak_kib(&broker) > 0);
    printf("\n    %s: account %llu KiB before, %llu after; resident %zu KiB before, %zu after, %zu "
           "at most; beside it %ld calls, worst %.1f ms",
           attack->name, (unsigned long long)before >> 10, (unsigned long long)used >> 10,
           fresh_kib, after_kib, peak_kib(&broker), noticed.n_calls, noticed.worst_ms);
    CU_ASSERT_TRUE(daemon_log_is_clean(&broker));
    ferry_close(observer);
    daemon_end(&broker);
}

/* ---- bytes ---- */

/* From now on, a send() fails if the other end accepts no bytes for a second. */
static void limit_sends(int fd) {
    struct timeval second = {.tv_sec = 1};

    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &second, sizeof(second));
}

static void reset(int fd) {
    struct linger linger = {.l_onoff = 1};

    setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    close(fd);
}

static int greeted(uint16_t port) {
    int fd = raw_connect(port);

    if (fd >= 0 && raw_greet(fd, NULL, 0))
        return fd;
    close(fd);
    return -1;
}

static void expect_cut(int fd) {
    CU_ASSERT_TRUE(raw_is_cut(fd, CUT_MS));
    close(fd);
}

/* Sends a large body in PARTs. False: the broker takes no more. */
static bool send_body(int fd, uint64_t transfer, size_t len) {
    static uint8_t bytes[WIRE_PART];

    for (; len > 0; len -= sizeof(bytes))
        if (!raw_say(fd, &(Message){.op = OP_PART,
                                    .part.transfer = transfer,
                                    .body = span_of(bytes, sizeof(bytes))}))
            return false;
    return true;
}

static void frames_without_end(uint16_t port) {
    static uint8_t frame[64 << 10];

    for (int with_session = 0; with_session < 2; with_session++)
        for (int i = 0; i < 10; i++) {
            int fd = with_session ? raw_session(port, 1 << 20) : greeted(port);

            limit_sends(fd);
            while (raw_frame(fd, frame, sizeof(frame), RAW_MORE))
                continue;
            expect_cut(fd);
        }
}

static void heads_that_announce_gigabytes(uint16_t port) {
    static const uint8_t head[] = {2, 0, 0, 0, 2, 0, 0, 0, 0, 'x'};

    for (int i = 0; i < 50; i++) {
        int fd = i % 2 ? raw_session(port, 1 << 20) : greeted(port);

        raw_bytes(fd, head, sizeof(head));
        expect_cut(fd);
    }
}

/* The head of a frame costs no more memory than the bytes of the frame that have come. */
static void large_frames_that_never_end(uint16_t port) {
    enum { N = 200 };
    static const uint8_t head[] = {2, 0, 0, 0, 0, 0, 9, 0, 0, 'x'};
    int fds[N];

    for (int i = 0; i < N; i++) {
        fds[i] = raw_session(port, 1 << 20);
        raw_bytes(fds[i], head, sizeof(head));
    }
    for (int i = 0; i < N; i++)
        close(fds[i]);
}

static void metadata_of_megabytes(uint16_t port) {
    enum { LEN = 1200000 };
    static uint8_t ready[9 + LEN] = {
        FLAG_COMMAND | 2, 0, 0,   0,   0,   0,   LEN >> 16, LEN >> 8 & 255,
        LEN & 255,        5, 'R', 'E', 'A', 'D', 'Y'};
    static const char greeting[64] = "\xFF\0\0\0\0\0\0\0\x01\x7F\x03\0NULL";

    for (int i = 0; i < 30; i++) {
        int fd = raw_connect(port);

        limit_sends(fd);
        raw_bytes(fd, greeting, sizeof(greeting));
        raw_bytes(fd, ready, sizeof(ready));
        expect_cut(fd);
    }
}

/* Sends PINGs without reading the PONGs, and then resets the connection in the middle of them. */
static void pings_and_a_reset(uint16_t port) {
    static uint8_t pings[4000 * 25];
    uint8_t *at = pings;

    while (at + 25 <= pings + sizeof(pings)) {
        memcpy(at,
               "\x04\x17\x04PING\0\x0A"
               "0123456789abcdef",
               25);
        at += 25;
    }
    for (int i = 0; i < 60; i++) {
        int fd = i % 2 ? raw_session(port, 1 << 20) : greeted(port);

        limit_sends(fd);
        for (int n = 0; n < 20 && raw_bytes(fd, pings, sizeof(pings)); n++)
            continue;
        raw_bytes(fd, pings, 17);
        reset(fd);
    }
}

/* The answer to a PING repeats the PING's context and no other byte. */
static void pings_that_ask_for_more_than_they_bring(uint16_t port) {
    static const uint8_t short_ping[] = {4, 5, 4, 'P', 'I', 'N', 'G'};
    static const uint8_t ping[] = {4, 10, 4, 'P', 'I', 'N', 'G', 0, 0, 'a', 'b', 'c'};
    static const uint8_t pong[] = {4, 8, 4, 'P', 'O', 'N', 'G', 'a', 'b', 'c'};

    for (int i = 0; i < 50; i++) {
        uint8_t got[sizeof(pong)] = {0};
        int fd = greeted(port);

        raw_bytes(fd, ping, sizeof(ping));
        CU_ASSERT_EQUAL(recv(fd, got, sizeof(got), MSG_WAITALL), (ssize_t)sizeof(got));
        CU_ASSERT_EQUAL(memcmp(got, pong, sizeof(pong)), 0);
        raw_bytes(fd, short_ping, sizeof(short_ping));
        expect_cut(fd);
    }
}

/* A routing id that a peer chooses has no meaning, even if many peers choose the same one. */
static void the_same_routing_id_again_and_again(uint16_t port) {
    enum { N = 100 };
    int fds[N], n_in = 0;

    for (int i = 0; i < N; i++) {
        uint8_t id[5] = {0, 0, 0, 0, (uint8_t)(i / 2)};

        fds[i] = raw_connect(port);
        n_in += fds[i] >= 0 && raw_greet(fds[i], id, sizeof(id));
    }
    CU_ASSERT_EQUAL(n_in, N);
    for (int i = 0; i < N; i++)
        close(fds[i]);
}

/* Meaningless bytes that a peer continues to send after the refusal. */
static void bytes_after_the_refusal(uint16_t port) {
    static uint8_t junk[256 << 10] = {0xFF};

    for (int i = 0; i < 20; i++) {
        int fd = raw_session(port, 1 << 20);

        limit_sends(fd);
        for (int n = 0; n < 100 && raw_bytes(fd, junk, sizeof(junk)); n++)
            continue;
        expect_cut(fd);
    }
}

/* ---- messages ---- */

static int n_named; /* names that earlier sessions have used */

static Message nth_call(int i) {
    return (Message){.op = OP_CALL,
                     .id = (uint64_t)i,
                     .call.timeout_ms = 60000,
                     .name = span_text("s"),
                     .call.method = span_text("m")};
}

static Message nth_serve(int i) {
    static char names[256][64];
    char *name = names[i % 256];

    snprintf(name, 64, "one.of.many.services.number.%d", n_named + i);
    return (Message){.op = OP_SERVE, .name = span_text(name)};
}

static Message nth_subscribe(int i) {
    return (Message){.op = OP_SUBSCRIBE, .id = (uint64_t)i, .name = span_text("question")};
}

static Message nth_question(int i) {
    return (Message){.op = OP_PUBLISH,
                     .id = (uint64_t)i,
                     .publish.flags = PUBLISH_GATHER,
                     .publish.window_ms = 100,
                     .name = span_text("question")};
}

/* Sends the messages 1 to n in batches of a hundred, as fast as the broker handles them. */
static void say_many(int fd, int n, Message (*nth)(int i)) {
    static uint8_t batch[64 << 10] = {WIRE_MAGIC, WIRE_PROTOCOL};
    Message pong;

    for (int i = 1; i <= n;) {
        uint8_t *at = batch + WIRE_HEAD;

        for (int end = i + 100; i <= n && i < end; i++) {
            Message message = nth(i);

            at = message_write(at, &message);
        }
        if (!raw_frame(fd, batch, (size_t)(at - batch), 0))
            return;
        raw_say(fd, &(Message){.op = OP_PING, .id = 1});
        if (raw_hear(fd, OP_PONG, ANSWER_MS, &pong) != HEARD)
            return;
    }
}

/* A server that never answers. */
static int silent_server(uint16_t port) {
    int fd = raw_session(port, 1 << 16);
    Message ok;

    raw_say(fd, &(Message){.op = OP_SERVE, .id = 1, .name = span_text("silent"), .serve.slots = 1});
    CU_ASSERT_EQUAL(raw_hear(fd, OP_OK, ANSWER_MS, &ok), HEARD);
    return fd;
}

static void large_calls(uint16_t port, uint64_t flags) {
    enum { CALLERS = 4, CALLS = 50 };
    int server = silent_server(port), callers[CALLERS];

    for (int i = 0; i < CALLERS; i++) {
        callers[i] = raw_session(port, 1 << 20);
        limit_sends(callers[i]);
    }
    for (uint64_t id = 1; id <= CALLS; id++)
        for (int i = 0; i < CALLERS; i++)
            if (send_body(callers[i], id, BODY))
                raw_say(callers[i], &(Message){.op = OP_CALL,
                                               .id = id,
                                               .name = span_text("silent"),
                                               .call.method = span_text("m"),
                                               .call.flags = flags,
                                               .body_transfer = id});
            else
                shutdown(callers[i], SHUT_WR);
    for (int i = 0; i < CALLERS; i++)
        close(callers[i]);
    close(server);
}

static void large_calls_that_wait(uint16_t port) {
    large_calls(port, 0);
}

static void large_idempotent_calls(uint16_t port) {
    large_calls(port, CALL_IDEMPOTENT);
}

static void items_before_there_is_a_server(uint16_t port) {
    enum { CALLS = 800, ITEM = 100 << 10 };
    static uint8_t item[ITEM];
    int server = silent_server(port), caller = raw_session(port, 1 << 20);

    limit_sends(caller);
    for (uint64_t id = 1; id <= CALLS; id++)
        if (!raw_say(caller, &(Message){.op = OP_CALL,
                                        .id = id,
                                        .name = span_text("silent"),
                                        .call.method = span_text("m"),
                                        .call.flags = CALL_STREAM_IN,
                                        .body = span_text("x")}) ||
            !raw_say(caller,
                     &(Message){.op = OP_ITEM, .id = id, .body = span_of(item, sizeof(item))}) ||
            !raw_say(caller,
                     &(Message){.op = OP_ITEM, .id = id, .body = span_of(item, sizeof(item))}))
            break;
    close(caller);
    close(server);
}

static void answers_that_nobody_reads(uint16_t port) {
    enum { SESSIONS = 27, REQUESTS = 7, JOBS = 40 };
    static uint8_t job[64 << 10];
    int worker = raw_session(port, 1 << 20), fds[SESSIONS];
    Message ok;

    for (uint64_t id = 1; id <= JOBS; id++)
        raw_say(worker, &(Message){.op = OP_PUSH,
                                   .id = id,
                                   .name = span_text("jobs"),
                                   .body = span_of(job, sizeof(job))});
    raw_say(worker, &(Message){.op = OP_PING, .id = 1});
    CU_ASSERT_EQUAL(raw_hear(worker, OP_PONG, ANSWER_MS, &ok), HEARD);
    for (int i = 0; i < SESSIONS; i++)
        fds[i] = raw_session(port, 0);
    for (uint64_t id = 1; id <= REQUESTS; id++)
        for (int i = 0; i < SESSIONS; i++)
            raw_say(fds[i], &(Message){.op = OP_CALL,
                                       .id = id,
                                       .name = span_text("ferry.Broker"),
                                       .call.method = span_text("peek"),
                                       .body = span_of("\x92\xA4jobs\x00", 7)});
    raw_say(worker, &(Message){.op = OP_CALL,
                               .id = 1000,
                               .name = span_text("ferry.Broker"),
                               .call.method = span_text("purge"),
                               .body = span_text("\x91\xA4jobs")});
    raw_say(worker, &(Message){.op = OP_PING, .id = 2});
    CU_ASSERT_EQUAL(raw_hear(worker, OP_PONG, ANSWER_MS, &ok), HEARD);
    for (int i = 0; i < SESSIONS; i++)
        close(fds[i]);
    close(worker);
}

static void credit_without_end_and_no_reading(uint16_t port) {
    enum { SUBSCRIBERS = 12, MESSAGES = 300 };
    static uint8_t body[100 << 10];
    int publisher = raw_session(port, 1 << 20), fds[SUBSCRIBERS];
    Message ok;

    for (int i = 0; i < SUBSCRIBERS; i++) {
        fds[i] = raw_session(port, UINT64_C(1) << 60);
        raw_say(fds[i], &(Message){.op = OP_SUBSCRIBE, .id = 1, .name = span_text("flood")});
        CU_ASSERT_EQUAL(raw_hear(fds[i], OP_OK, ANSWER_MS, &ok), HEARD);
    }
    for (int n = 0; n < MESSAGES; n++)
        if (!raw_say(publisher, &(Message){.op = OP_PUBLISH,
                                           .name = span_text("flood"),
                                           .body = span_of(body, sizeof(body))}))
            break;
    raw_say(publisher, &(Message){.op = OP_PING, .id = 1});
    CU_ASSERT_EQUAL(raw_hear(publisher, OP_PONG, ANSWER_MS, &ok), HEARD);
    for (int i = 0; i < SUBSCRIBERS; i++)
        close(fds[i]);
    close(publisher);
}

static void descriptions_by_the_hundred(uint16_t port) {
    enum { SERVICES = 150 };
    int fd = raw_session(port, 1 << 20), n_full = 0;
    Message answer;

    for (uint64_t id = 1; id <= SERVICES; id++) {
        char name[32];

        snprintf(name, sizeof(name), "described.n%d", (int)id);
        CU_ASSERT_TRUE(send_body(fd, id, 1 << 20));
        raw_say(fd, &(Message){.op = OP_SERVE,
                               .id = id,
                               .name = span_text(name),
                               .serve.slots = 1,
                               .body_transfer = id});
    }
    raw_say(fd, &(Message){.op = OP_PING, .id = 1});
    while (raw_hear(fd, OP_ERROR, 1000, &answer) == HEARD)
        n_full += strcmp(raw_error_text(answer.error.map, "type"), "ferry.Full") == 0;
    CU_ASSERT(n_full > 0);
    close(fd);
}

static void method_names_by_the_thousand(uint16_t port) {
    enum { SERVICES = 100, METHODS = 256 };
    int server = raw_session(port, 1 << 20), caller = raw_session(port, 1 << 20);
    Message pong;

    for (uint64_t service = 1; service <= SERVICES; service++) {
        char name[32];

        snprintf(name, sizeof(name), "many.n%d", (int)service);
        raw_say(server, &(Message){.op = OP_SERVE, .id = service, .name = span_text(name)});
        raw_say(server, &(Message){.op = OP_PING, .id = 1});
        CU_ASSERT_EQUAL(raw_hear(server, OP_PONG, ANSWER_MS, &pong), HEARD);
        for (int i = 0; i < METHODS; i++) {
            char method[256];

            snprintf(method, sizeof(method), "m%0250d", i);
            raw_say(caller, &(Message){.op = OP_CALL,
                                       .name = span_text(name),
                                       .call.method = span_text(method),
                                       .body = span_text("x")});
        }
    }
    raw_say(caller, &(Message){.op = OP_PING, .id = 1});
    CU_ASSERT_EQUAL(raw_hear(caller, OP_PONG, ANSWER_MS, &pong), HEARD);
    close(caller);
    close(server);
}

/* A new client still finds room for a large body. */
static void bodies_that_never_end(uint16_t port) {
    enum { PEERS = 2, TRANSFERS = 60 };
    int fds[PEERS], late;
    Message answer;

    for (int i = 0; i < PEERS; i++)
        fds[i] = raw_session(port, 1 << 20);
    for (int i = 0; i < PEERS; i++)
        for (uint64_t id = 1; id <= TRANSFERS; id++)
            send_body(fds[i], id, 5 * WIRE_PART);
    late = raw_session(port, 1 << 20);
    CU_ASSERT_TRUE(send_body(late, 1, 256 << 10));
    raw_say(late, &(Message){.op = OP_CALL,
                             .id = 1,
                             .name = span_text("no.Such"),
                             .call.method = span_text("m"),
                             .body_transfer = 1});
    /* If there were no room, the error would be ferry.Full. */
    CU_ASSERT_EQUAL(raw_hear(late, OP_ERROR, ANSWER_MS, &answer), HEARD);
    CU_ASSERT_STRING_EQUAL(raw_error_text(answer.error.map, "type"), "ferry.NoSuchService");
    close(late);
    for (int i = 0; i < PEERS; i++)
        close(fds[i]);
}

/* Small calls that no server answers: their records alone could fill the memory. */
static void calls_by_the_thousand(uint16_t port) {
    enum { CALLERS = 6, CALLS = 25000 };
    int server = raw_session(port, UINT64_C(1) << 40), callers[CALLERS];
    Message ok;

    raw_say(server,
            &(Message){.op = OP_SERVE, .id = 1, .name = span_text("s"), .serve.slots = 65536});
    CU_ASSERT_EQUAL(raw_hear(server, OP_OK, ANSWER_MS, &ok), HEARD);
    for (int i = 0; i < CALLERS; i++) {
        callers[i] = raw_session(port, 1 << 20);
        limit_sends(callers[i]);
    }
    for (int i = 0; i < CALLERS; i++)
        say_many(callers[i], CALLS, nth_call);
    for (int i = 0; i < CALLERS; i++)
        close(callers[i]);
    close(server);
}

/* Each client is remembered for client_memory after its session. */
static void clients_that_come_once(uint16_t port) {
    for (int i = 0; i < 1500; i++) {
        int fd = raw_session(port, 1 << 20);

        raw_say(fd, &(Message){.op = OP_SUBSCRIBE, .id = 1, .name = span_text("left.behind")});
        close(fd);
    }
}

/* Other clients are served between the slices of a list: see test-turns.c. */
static void lists_of_many_names(uint16_t port) {
    enum { SERVERS = 10, NAMES = 1000, ASKING = 20, LISTS = 20 };
    int servers[SERVERS], asking[ASKING];
    Message pong;

    for (int i = 0; i < SERVERS; i++) {
        servers[i] = raw_session(port, 1 << 20);
        n_named = i * NAMES;
        say_many(servers[i], NAMES, nth_serve);
    }
    for (int i = 0; i < ASKING; i++) {
        asking[i] = raw_session(port, 0);
        limit_sends(asking[i]);
        for (uint64_t id = 1; id <= LISTS; id++)
            raw_say(asking[i], &(Message){.op = OP_CALL,
                                          .id = id,
                                          .name = span_text("ferry.Broker"),
                                          .call.method = span_text("services"),
                                          .body = span_text("\x90")});
    }
    raw_say(servers[0], &(Message){.op = OP_PING, .id = 1});
    CU_ASSERT_EQUAL(raw_hear(servers[0], OP_PONG, ANSWER_MS, &pong), HEARD);
    for (int i = 0; i < ASKING; i++)
        close(asking[i]);
    for (int i = 0; i < SERVERS; i++)
        close(servers[i]);
}

static void gathers_that_end_at_once(uint16_t port) {
    enum { SUBSCRIPTIONS = 2000, QUESTIONS = 30 };
    int subscriber = raw_session(port, 0), asking = raw_session(port, 0);

    limit_sends(asking);
    say_many(subscriber, SUBSCRIPTIONS, nth_subscribe);
    say_many(asking, QUESTIONS, nth_question);
    usleep(300000); /* wait until the windows have ended */
    close(asking);
    close(subscriber);
}

static const Attack attacks[] = {
    {"frames without end", frames_without_end, "a message of more than one frame"},
    {"heads that announce gigabytes", heads_that_announce_gigabytes, "a message is too large"},
    {"large frames that never end", large_frames_that_never_end, NULL},
    {"metadata of megabytes", metadata_of_megabytes, "a command is too large"},
    {"PINGs and a reset", pings_and_a_reset, NULL},
    {"PINGs that are too short", pings_that_ask_for_more_than_they_bring, "PING"},
    {"the same routing id", the_same_routing_id_again_and_again, NULL},
    {"bytes after the refusal", bytes_after_the_refusal, "peer="},
    {"large calls that wait", large_calls_that_wait, NULL},
    {"large idempotent calls", large_idempotent_calls, NULL},
    {"items before there is a server", items_before_there_is_a_server, NULL},
    {"answers that nobody reads", answers_that_nobody_reads, NULL},
    {"credit without end", credit_without_end_and_no_reading, NULL},
    {"descriptions", descriptions_by_the_hundred, NULL},
    {"names of methods", method_names_by_the_thousand, NULL},
    {"bodies that never end", bodies_that_never_end, NULL},
    {"calls by the thousand", calls_by_the_thousand, NULL},
    {"clients that come once", clients_that_come_once, NULL},
    {"lists of many names", lists_of_many_names, NULL},
    {"gathers that end at once", gathers_that_end_at_once, NULL},
};

static const char *only; /* a part of the names of the attacks to run; NULL: all attacks run */

static void attacks_cost_no_memory_and_no_bystander(void) {
    for (size_t i = 0; i < sizeof(attacks) / sizeof(*attacks); i++)
        if (!only || strstr(attacks[i].name, only))
            endure(&attacks[i]);
}

/* test-attacks [PART OF A NAME] */
int main(int argc, char **argv) {
    CU_TestInfo tests[] = {
        TEST(attacks_cost_no_memory_and_no_bystander),
        TESTS_END,
    };

    only = argc > 1 ? argv[1] : NULL;
    return run_suite("attacks on the broker", tests);
}
