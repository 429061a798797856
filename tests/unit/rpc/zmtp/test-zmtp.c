/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "rpc/zmtp/zmtp.h"
#include "support/suite.h"

enum { MESSAGE_MAX = 4096, STREAM_MAX = 64 * 1024 };

/* The events of a stream: a letter for each event, and a hash of all messages. */
typedef struct Seen {
    char events[256];
    unsigned n, n_messages, n_pings;
    uint64_t hash;
    size_t last_len;
    const char *problem;
    char reason[256];
} Seen;

static const char *folder;

static uint64_t hash_of(uint64_t hash, const uint8_t *data, size_t len) {
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ data[i]) * UINT64_C(1099511628211);
    return hash * 31 + len;
}

static void see(Seen *seen, ZmtpEvent event, const Zmtp *zmtp, const ZmtpInput *input) {
    static const char letters[] = {[ZMTP_EVENT_READY] = 'R',
                                   [ZMTP_EVENT_MESSAGE] = 'm',
                                   [ZMTP_EVENT_PING] = 'i',
                                   [ZMTP_EVENT_PONG] = 'o',
                                   [ZMTP_EVENT_FAILED] = 'F'};

    if (seen->n < sizeof(seen->events) - 1)
        seen->events[seen->n++] = letters[event];
    seen->n_messages += event == ZMTP_EVENT_MESSAGE;
    seen->n_pings += event == ZMTP_EVENT_PING;
    seen->problem = zmtp->problem;
    if (event == ZMTP_EVENT_MESSAGE) {
        seen->hash = hash_of(seen->hash, input->data, input->len);
        seen->last_len = input->len;
    }
    if (event == ZMTP_EVENT_FAILED && input->data)
        snprintf(seen->reason, sizeof(seen->reason), "%.*s", (int)input->len,
                 (const char *)input->data);
}

/* Feeds a stream that arrives in pieces: the first piece ends after `first` bytes, the others are
 * `step` long. The bytes are in an allocation of exactly their size, so that a sanitizer finds a
 * read past their end. */
static Seen feed(Zmtp *zmtp, const uint8_t *stream, size_t len, size_t first, size_t step) {
    Seen seen = {.hash = 14695981039346656037u};
    size_t taken = 0, have = first < len ? first : len;

    for (;;) {
        uint8_t *piece = malloc(have - taken ? have - taken : 1);
        ZmtpInput input = {.at = piece, .end = piece + (have - taken)};
        ZmtpEvent event;

        CU_ASSERT_PTR_NOT_NULL_FATAL(piece);
        memcpy(piece, stream + taken, have - taken);
        while ((event = zmtp_read(zmtp, &input)) != ZMTP_EVENT_MORE) {
            see(&seen, event, zmtp, &input);
            if (event == ZMTP_EVENT_FAILED)
                break;
        }
        if (event == ZMTP_EVENT_MORE)
            CU_ASSERT_TRUE(input.wanted > (size_t)(input.end - input.at));
        taken += (size_t)(input.at - piece);
        free(piece);
        if (event == ZMTP_EVENT_FAILED || have == len)
            return seen;
        have = have + step < len ? have + step : len;
    }
}

static void init_router(Zmtp *zmtp) {
    zmtp_init(zmtp, &zmtp_null, "ROUTER", "DEALER", MESSAGE_MAX);
}

static Seen feed_router(const uint8_t *stream, size_t len) {
    Zmtp zmtp;

    init_router(&zmtp);
    return feed(&zmtp, stream, len, len, len);
}

/* Writes greeting and READY of a DEALER, then `tail`. Returns the length. */
static size_t dealer_stream(uint8_t *to, const void *tail, size_t len) {
    uint8_t greeting[ZMTP_OUTPUT_MAX];
    Zmtp dealer, router;
    size_t n;

    init_router(&router);
    zmtp_init(&dealer, &zmtp_null, "DEALER", "ROUTER", MESSAGE_MAX);
    n = zmtp_output(&router, greeting);
    feed(&dealer, greeting, n, n, 1);
    n = zmtp_output(&dealer, to);
    memcpy(to + n, tail, len);
    return n + len;
}

#define STREAM(to, tail) dealer_stream(to, tail, sizeof(tail) - 1)

/* ---- handshake ---- */

static void two_ends_shake_hands_and_exchange_messages(void) {
    Zmtp a, b;
    uint8_t bytes[ZMTP_OUTPUT_MAX], frame[ZMTP_ROOM + 300], *at;
    size_t len;
    Seen seen;

    init_router(&a);
    zmtp_init(&b, &zmtp_null, "DEALER", "ROUTER", MESSAGE_MAX);
    len = zmtp_output(&b, bytes);
    CU_ASSERT_EQUAL(len, ZMTP_GREETING_SIZE);
    seen = feed(&a, bytes, len, len, 1);
    CU_ASSERT_EQUAL(seen.n, 0);
    len = zmtp_output(&a, bytes); /* greeting and READY together */
    CU_ASSERT_EQUAL(a.stage, ZMTP_HANDSHAKE);
    seen = feed(&b, bytes, len, len, 1);
    CU_ASSERT_STRING_EQUAL(seen.events, "R");
    len = zmtp_output(&b, bytes);
    seen = feed(&a, bytes, len, len, 1);
    CU_ASSERT_STRING_EQUAL(seen.events, "R");
    CU_ASSERT_FALSE(zmtp_has_output(&b));
    for (size_t size = 254; size < 258; size++) {
        at = frame + ZMTP_ROOM;
        memset(at, (int)size, size);
        len = size;
        zmtp_seal(&a, &at, &len);
        CU_ASSERT_EQUAL(len, size + (size > 255 ? 9 : 2));
        seen = feed(&b, at, len, len, 1);
        CU_ASSERT_STRING_EQUAL(seen.events, "m");
        CU_ASSERT_EQUAL(seen.last_len, size);
    }
}

static void a_greeting_is_answered_after_its_first_bytes(void) {
    uint8_t bytes[ZMTP_OUTPUT_MAX];
    Zmtp zmtp;
    Seen seen;

    init_router(&zmtp);
    CU_ASSERT_TRUE(zmtp_has_output(&zmtp));
    CU_ASSERT_EQUAL(zmtp_output(&zmtp, bytes), ZMTP_GREETING_SIZE);
    seen = feed(&zmtp, (const uint8_t *)"\xff\0\0\0\0\0\0\0\1\x7f", 10, 10, 1);
    CU_ASSERT_EQUAL(seen.n, 0);
    CU_ASSERT_FALSE(zmtp_has_output(&zmtp));
}

static void expect_problem(const uint8_t *stream, size_t len, const char *problem) {
    Seen seen = feed_router(stream, len);

    CU_ASSERT_PTR_NOT_NULL(seen.problem);
    if (!seen.problem)
        return;
    if (!strstr(seen.problem, problem))
        printf("\n    '%s', not '%s'\n", seen.problem, problem);
    CU_ASSERT_PTR_NOT_NULL(strstr(seen.problem, problem));
    CU_ASSERT_EQUAL(seen.events[seen.n - 1], 'F');
}

#define PROBLEM(bytes, text) expect_problem((const uint8_t *)(bytes), sizeof(bytes) - 1, text)

static void older_protocols_and_others_are_refused_by_name(void) {
    PROBLEM("GET / HTTP/1.1\r\n", "does not speak ZMTP");
    PROBLEM("\x16\x03\x01", "does not speak ZMTP");
    PROBLEM("\x01\x00", "ZMTP 1.0");
    PROBLEM("\xff\0\0\0\0\0\0\0\1\x7e", "ZMTP 1.0");
    PROBLEM("\xff\0\0\0\0\0\0\0\1\x7f\0", "ZMTP 1.0");
    PROBLEM("\xff\0\0\0\0\0\0\0\1\x7f\1\5", "ZMTP 2.0");
}

static void another_mechanism_is_refused(void) {
    uint8_t greeting[ZMTP_GREETING_SIZE] = {0xFF};

    greeting[9] = 0x7F;
    greeting[10] = 3;
    memcpy(greeting + 12, "PLAIN", 5);
    expect_problem(greeting, sizeof(greeting), "mechanism");
    memcpy(greeting + 12, "NULLx", 5);
    expect_problem(greeting, sizeof(greeting), "mechanism");
}

static void a_peer_of_3_0_is_served_and_gets_no_ping(void) {
    uint8_t stream[512];
    size_t len = STREAM(stream, "\0\2hi");
    Zmtp zmtp;
    Seen seen;

    stream[11] = 0;
    init_router(&zmtp);
    seen = feed(&zmtp, stream, len, len, 1);
    CU_ASSERT_STRING_EQUAL(seen.events, "Rm");
    CU_ASSERT_FALSE(zmtp_ping(&zmtp));

    stream[10] = 4; /* a later version speaks 3.1 with this end */
    init_router(&zmtp);
    feed(&zmtp, stream, len, len, 1);
    CU_ASSERT_TRUE(zmtp_ping(&zmtp));
}

/* Sends a greeting, then one command frame with this body. */
static void expect_handshake_problem(const void *command, size_t len, const char *problem) {
    uint8_t stream[2048];

    dealer_stream(stream, "", 0);
    stream[64] = 6;
    for (int i = 0; i < 8; i++)
        stream[65 + i] = (uint8_t)((uint64_t)len >> (56 - 8 * i));
    memcpy(stream + 73, command, len);
    expect_problem(stream, 73 + len, problem);
}

#define HANDSHAKE_PROBLEM(bytes, text) expect_handshake_problem(bytes, sizeof(bytes) - 1, text)

static void metadata_is_limited_and_checked(void) {
    static const char type[] = "\x0bSocket-Type\0\0\0\6DEALER";
    char long_one[1024] = "\5READY";
    uint8_t stream[2048];
    Seen seen;

    HANDSHAKE_PROBLEM("\5HELLO", "READY");
    HANDSHAKE_PROBLEM("", "READY");
    HANDSHAKE_PROBLEM("\xffREADY", "READY");
    HANDSHAKE_PROBLEM("\5READY", "Socket-Type");
    HANDSHAKE_PROBLEM("\5READY\x0bSocket-Type\0\0\0\3SUB", "wrong type");
    HANDSHAKE_PROBLEM("\5READY\x0bSocket-Type\0\0\0\6ROUTER", "wrong type");
    HANDSHAKE_PROBLEM("\5READY\x0bSocket-Type\0\0\0\7DEALER", "malformed");
    HANDSHAKE_PROBLEM("\5READY\x0bSocket-Type\xff\xff\xff\xff"
                      "DEALER",
                      "malformed");
    HANDSHAKE_PROBLEM("\5READY\x0bSocket-Type\0\0\0", "malformed");
    HANDSHAKE_PROBLEM("\5READY\0\0\0\0\0", "malformed");
    HANDSHAKE_PROBLEM("\5READY\xff", "malformed");
    for (int i = 0; i < 17; i++)
        memcpy(long_one + 6 + i * 6, "\1X\0\0\0\0", 6);
    expect_handshake_problem(long_one, 6 + 17 * 6, "too many properties");
    memcpy(long_one + 6 + 15 * 6, type, sizeof(type) - 1);
    dealer_stream(stream, "", 0);
    stream[64] = 4;
    stream[65] = (uint8_t)(6 + 15 * 6 + sizeof(type) - 1);
    memcpy(stream + 66, long_one, stream[65]);
    seen = feed_router(stream, 66 + (size_t)stream[65]);
    CU_ASSERT_STRING_EQUAL(seen.events, "R");
}

static void a_refused_peer_gets_the_reason(void) {
    uint8_t stream[ZMTP_OUTPUT_MAX], bytes[ZMTP_OUTPUT_MAX];
    Zmtp a, b;
    size_t len;
    Seen seen;

    init_router(&a);
    zmtp_init(&b, &zmtp_null, "SUB", "ROUTER", MESSAGE_MAX);
    len = zmtp_output(&b, stream);
    feed(&a, stream, len, len, 1);
    len = zmtp_output(&a, bytes);
    feed(&b, bytes, len, len, 1);
    len = zmtp_output(&b, stream);
    seen = feed(&a, stream, len, len, 1);
    CU_ASSERT_STRING_EQUAL(seen.events, "F");
    len = zmtp_output(&a, bytes);
    CU_ASSERT(len > 0);
    b.stage = ZMTP_HANDSHAKE;
    seen = feed(&b, bytes, len, len, 1);
    CU_ASSERT_STRING_EQUAL(seen.events, "F");
    CU_ASSERT_STRING_EQUAL(seen.problem, "it sent an ERROR");
    CU_ASSERT_STRING_EQUAL(seen.reason, "its socket has the wrong type");
    CU_ASSERT_EQUAL(zmtp_output(&a, bytes), 0);
}

/* ---- frames and commands ---- */

static void expect_frame_problem(const void *frame, size_t len, const char *problem) {
    uint8_t stream[4096];

    expect_problem(stream, dealer_stream(stream, frame, len), problem);
}

#define FRAME_PROBLEM(bytes, text) expect_frame_problem(bytes, sizeof(bytes) - 1, text)

static void a_bad_frame_is_refused_at_its_head(void) {
    FRAME_PROBLEM("\1", "more than one frame");
    FRAME_PROBLEM("\3", "more than one frame");
    FRAME_PROBLEM("\5", "more than one frame");
    FRAME_PROBLEM("\x08", "undefined");
    FRAME_PROBLEM("\x80", "undefined");
    FRAME_PROBLEM("\2\0\0\0\0\0\0\x10\1", "message is too large");
    FRAME_PROBLEM("\2\xff\xff\xff\xff\xff\xff\xff\xff", "message is too large");
    FRAME_PROBLEM("\6\0\0\0\0\0\0\4\1", "command is too large");
    FRAME_PROBLEM("\6\xff\xff\xff\xff\xff\xff\xff\xf7", "command is too large");
    FRAME_PROBLEM("\4\7\6UNKNOW", "unexpected command");
    FRAME_PROBLEM("\4\0", "unexpected command");
    FRAME_PROBLEM("\4\x06\5READY", "unexpected command");
}

static void messages_up_to_the_limit_are_read(void) {
    static uint8_t stream[STREAM_MAX], frame[9 + MESSAGE_MAX] = {2, 0, 0, 0, 0, 0, 0, 0x10, 0};
    Seen seen;

    seen = feed_router(stream, dealer_stream(stream, frame, sizeof(frame)));
    CU_ASSERT_STRING_EQUAL(seen.events, "Rm");
    CU_ASSERT_EQUAL(seen.last_len, MESSAGE_MAX);
}

static void a_pong_repeats_exactly_the_context_of_the_ping(void) {
    static const char tail[] = "\4\x09\4PING\0\x0a"
                               "ab"
                               "\4\x17\4PING\0\x0a"
                               "0123456789abcdef"
                               "\4\7\4PING\0\x0a";
    uint8_t stream[512], bytes[ZMTP_OUTPUT_MAX];
    size_t all = dealer_stream(stream, tail, sizeof(tail) - 1),
           first = dealer_stream(stream, "", 0);
    Zmtp zmtp;

    dealer_stream(stream, tail, sizeof(tail) - 1);
    init_router(&zmtp);
    feed(&zmtp, stream, first, first, 1);
    zmtp_output(&zmtp, bytes);
    feed(&zmtp, stream + first, 11, 11, 1);
    CU_ASSERT_EQUAL(zmtp_output(&zmtp, bytes), 9);
    CU_ASSERT_EQUAL(memcmp(bytes, "\4\7\4PONGab", 9), 0);
    feed(&zmtp, stream + first + 11, 25, 25, 1);
    CU_ASSERT_EQUAL(zmtp_output(&zmtp, bytes), 23);
    CU_ASSERT_EQUAL(memcmp(bytes, "\4\x15\4PONG0123456789abcdef", 23), 0);
    /* The following shorter PONG contains no byte of the longer one. */
    feed(&zmtp, stream + first + 36, all - first - 36, 9, 1);
    CU_ASSERT_EQUAL(zmtp_output(&zmtp, bytes), 7);
    CU_ASSERT_EQUAL(memcmp(bytes, "\4\5\4PONG", 7), 0);
}

static void a_ping_of_the_wrong_size_is_refused(void) {
    FRAME_PROBLEM("\4\5\4PING", "wrong size");
    FRAME_PROBLEM("\4\6\4PING\0", "wrong size");
    FRAME_PROBLEM("\4\x18\4PING\0\x0a"
                  "0123456789abcdefg",
                  "wrong size");
}

static void many_pings_make_one_pong(void) {
    uint8_t stream[4096], bytes[ZMTP_OUTPUT_MAX];
    size_t len = dealer_stream(stream, "", 0);
    Zmtp zmtp;
    Seen seen;

    for (int i = 0; i < 200; i++, len += 9)
        memcpy(stream + len, "\4\7\4PING\0\x0a", 9);
    init_router(&zmtp);
    seen = feed(&zmtp, stream, len, len, 1);
    CU_ASSERT_EQUAL(seen.n_pings, 200);
    CU_ASSERT(zmtp_output(&zmtp, bytes) < 200);
}

static void our_ping_is_understood_and_an_error_ends_it(void) {
    uint8_t stream[512], bytes[ZMTP_OUTPUT_MAX];
    size_t len = STREAM(stream, "\4\5\4PONG"
                                "\4\x0b\5ERROR\4full");
    Zmtp zmtp;
    Seen seen;

    init_router(&zmtp);
    CU_ASSERT_FALSE(zmtp_ping(&zmtp));
    seen = feed(&zmtp, stream, len - 13, len, 1);
    zmtp_output(&zmtp, bytes);
    CU_ASSERT_TRUE(zmtp_ping(&zmtp));
    CU_ASSERT_EQUAL(zmtp_output(&zmtp, bytes), 9);
    CU_ASSERT_EQUAL(memcmp(bytes, "\4\7\4PING\0\x3c", 9), 0);
    seen = feed(&zmtp, stream + len - 13, 13, 13, 1);
    CU_ASSERT_STRING_EQUAL(seen.events, "F");
    CU_ASSERT_STRING_EQUAL(seen.reason, "full");
    CU_ASSERT_FALSE(zmtp_ping(&zmtp));
    /* A reason whose length is larger than its command. */
    len = STREAM(stream, "\4\x0b\5ERROR\5full");
    seen = feed_router(stream, len);
    CU_ASSERT_STRING_EQUAL(seen.reason, "");
}

static void in_every_split_the_events_are_the_same(void) {
    static const char tail[] =
        "\0\5hello\0\0\2\0\0\0\0\0\0\1\0"
        "01234567890123456789012345678901234567890123456789012345678901234567"
        "01234567890123456789012345678901234567890123456789012345678901234567"
        "01234567890123456789012345678901234567890123456789012345678901234567"
        "0123456789012345678901234567890123456789012345678901"
        "\4\7\4PING\0\x0a\4\5\4PONG\0\1x\1";
    uint8_t stream[1024];
    size_t len = dealer_stream(stream, tail, sizeof(tail) - 1);
    Seen whole = feed_router(stream, len);

    CU_ASSERT_STRING_EQUAL(whole.events, "RmmmiomF");
    for (size_t first = 0; first <= len; first++)
        for (size_t step = 1; step <= len; step += first % 7 + step) {
            Zmtp zmtp;
            Seen seen;

            init_router(&zmtp);
            seen = feed(&zmtp, stream, len, first, step);
            if (strcmp(seen.events, whole.events) != 0 || seen.hash != whole.hash)
                CU_FAIL("a split changes the events");
        }
}

/* ---- recorded sessions ---- */

static size_t read_file(const char *name, uint8_t *to) {
    char path[512];
    FILE *file;
    size_t len;

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    file = fopen(path, "rb");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    len = fread(to, 1, STREAM_MAX, file);
    fclose(file);
    return len;
}

static void recorded_streams_of_libzmq_and_pyzmq_are_understood(void) {
    static const struct {
        const char *name, *own, *peer;
        unsigned n_messages, n_pings;
        const char *problem;
    } sessions[] = {
        {"libzmq-dealer", "ROUTER", "DEALER", 5, 0, NULL},
        {"libzmq-router", "DEALER", "ROUTER", 5, 0, NULL},
        {"pyzmq-dealer", "ROUTER", "DEALER", 5, 0, NULL},
        {"pyzmq-router", "DEALER", "ROUTER", 5, 0, NULL},
        {"pyzmq-heartbeat-dealer", "ROUTER", "DEALER", 5, 3, NULL},
        {"pyzmq-heartbeat-router", "DEALER", "ROUTER", 5, 0, NULL},
        {"pyzmq-req", "ROUTER", "DEALER", 0, 0, "its socket has the wrong type"},
        {"pyzmq-sub", "ROUTER", "DEALER", 0, 0, "its socket has the wrong type"},
        {"pyzmq-push", "ROUTER", "DEALER", 0, 0, "its socket has the wrong type"},
    };
    static uint8_t stream[STREAM_MAX];
    uint64_t hash = 0;

    for (size_t i = 0; i < sizeof(sessions) / sizeof(*sessions); i++) {
        size_t len = read_file(sessions[i].name, stream);

        for (size_t first = 0; first < 160 && first <= len; first += 3) {
            Zmtp zmtp;
            Seen seen;

            zmtp_init(&zmtp, &zmtp_null, sessions[i].own, sessions[i].peer, MESSAGE_MAX);
            seen = feed(&zmtp, stream, len, first, first * 5 + 1);
            CU_ASSERT_EQUAL(seen.n_messages, sessions[i].n_messages);
            CU_ASSERT_EQUAL(seen.n_pings, sessions[i].n_pings);
            if (sessions[i].problem)
                CU_ASSERT_STRING_EQUAL(seen.problem, sessions[i].problem);
            if (sessions[i].problem)
                continue;
            CU_ASSERT_EQUAL(zmtp.stage, ZMTP_OPEN);
            hash = hash ? hash : seen.hash;
            CU_ASSERT_EQUAL(seen.hash, hash); /* all streams contain the same messages */
        }
    }
}

int main(int argc, char **argv) {
    CU_TestInfo tests[] = {
        TEST(two_ends_shake_hands_and_exchange_messages),
        TEST(a_greeting_is_answered_after_its_first_bytes),
        TEST(older_protocols_and_others_are_refused_by_name),
        TEST(another_mechanism_is_refused),
        TEST(a_peer_of_3_0_is_served_and_gets_no_ping),
        TEST(metadata_is_limited_and_checked),
        TEST(a_refused_peer_gets_the_reason),
        TEST(a_bad_frame_is_refused_at_its_head),
        TEST(messages_up_to_the_limit_are_read),
        TEST(a_pong_repeats_exactly_the_context_of_the_ping),
        TEST(a_ping_of_the_wrong_size_is_refused),
        TEST(many_pings_make_one_pong),
        TEST(our_ping_is_understood_and_an_error_ends_it),
        TEST(in_every_split_the_events_are_the_same),
        TEST(recorded_streams_of_libzmq_and_pyzmq_are_understood),
        TESTS_END,
    };

    folder = argc > 1 ? argv[1] : "tests/data/zmtp";
    return run_suite("rpc/zmtp", tests);
}
