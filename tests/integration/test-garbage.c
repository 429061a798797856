/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections of structured garbage: each begins as a client does, sends right and wrong frames,
 * messages and bytes for a while, and ends in any way at any place. The broker lives, serves other
 * clients, gives all memory back, and leaks nothing when it ends (in a build with
 * AddressSanitizer).
 *
 * FERRY_TEST_CONNECTIONS is the number of connections.
 */

#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/clock.h"
#include "support/faults.h"
#include "support/process.h"
#include "support/random.h"
#include "support/raw-peer.h"
#include "support/suite.h"

enum { CONNECTIONS = 3000, OPEN_MAX = 40, MESSAGES_MAX = 12, FLAG_COMMAND = 4, SLACK = 256 << 10 };

typedef struct Garbage {
    Dice dice;
    uint8_t bytes[16384];
    size_t len;
} Garbage;

static bool one_in(Garbage *garbage, unsigned n) {
    return dice_below(&garbage->dice, n) == 0;
}

static void add(Garbage *garbage, const void *data, size_t len) {
    if (garbage->len + len > sizeof(garbage->bytes))
        return;
    memcpy(garbage->bytes + garbage->len, data, len);
    garbage->len += len;
}

/* Changes bytes from `from` on, or cuts them off. */
static void damage(Garbage *garbage, size_t from) {
    size_t len = garbage->len - from;

    if (len == 0)
        return;
    if (one_in(garbage, 4)) {
        garbage->len = from + dice_below(&garbage->dice, len);
        return;
    }
    for (uint64_t n = 1 + dice_below(&garbage->dice, 4); n > 0; n--)
        garbage->bytes[from + dice_below(&garbage->dice, len)] = (uint8_t)dice_u64(&garbage->dice);
}

static void add_frame(Garbage *garbage, const void *data, size_t len, unsigned flags) {
    uint8_t head[9] = {(uint8_t)(flags | 2)};

    for (int i = 0; i < 8; i++)
        head[1 + i] = (uint8_t)((uint64_t)len >> 8 * (7 - i));
    if (len < 256)
        add(garbage, (const uint8_t[]){(uint8_t)flags, (uint8_t)len}, 2);
    else
        add(garbage, head, sizeof(head));
    add(garbage, data, len);
}

/* ---- messages ---- */

static Span any_name(Garbage *garbage) {
    static const char *const names[] = {"a",    "a.b",    "a.*",          "a.>", "echo.Else",
                                        "q",    "q.dead", "ferry.Broker", "A B", "",
                                        "a..b", "*",      "n.1.2.3.4.5.6"};

    return span_text(names[dice_below(&garbage->dice, sizeof(names) / sizeof(*names))]);
}

static Span any_body(Garbage *garbage) {
    static uint8_t bytes[3000];

    return span_of(bytes, dice_below(&garbage->dice, one_in(garbage, 4) ? sizeof(bytes) : 40));
}

static Message any_message(Garbage *garbage) {
    static const uint8_t ops[] = {
        OP_HELLO,  OP_WELCOME, OP_PING,    OP_PONG,      OP_CREDIT,  OP_PART,    OP_BYE,
        OP_FAULT,  OP_OK,      OP_ERROR,   OP_SERVE,     OP_UNSERVE, OP_CALL,    OP_ITEM,
        OP_END,    OP_MORE,    OP_CANCEL,  OP_SUBSCRIBE, OP_PUBLISH, OP_MESSAGE, OP_UNSUBSCRIBE,
        OP_ANSWER, OP_GAP,     OP_PUSH,    OP_PULL,      OP_UNPULL,  OP_JOB,     OP_ACK,
        OP_RETRY,  OP_REJECT,  OP_RELEASE, OP_EXTEND,    OP_FORWARD, OP_LOST,    OP_SUBSCRIBE,
        OP_CALL,   OP_PUSH,    OP_PUBLISH, OP_SERVE,     OP_PART,    OP_WATCH,   OP_SERVER,
        OP_TICKET, OP_TALLY,   OP_MOVED};
    Message message = {.op = ops[dice_below(&garbage->dice, sizeof(ops))]};
    uint64_t small = dice_below(&garbage->dice, 4), any = dice_any(&garbage->dice);

    message.id = one_in(garbage, 8) ? any : small;
    message.name = any_name(garbage);
    message.body = any_body(garbage);
    if (one_in(garbage, 6))
        message.body_transfer = small;
    switch (message.op) {
    case OP_CREDIT:
        message.credit.bytes = any;
        break;
    case OP_PART:
        message.part.transfer = small;
        break;
    case OP_CALL:
        message.call.method = any_name(garbage);
        message.call.flags = any & 127;
        message.call.timeout_ms = small * 10;
        message.call.parent = small;
        break;
    case OP_SERVE:
        message.serve.slots = one_in(garbage, 4) ? any : small;
        break;
    case OP_PUBLISH:
        message.publish.flags = any & 3;
        message.publish.window_ms = small * 20;
        break;
    case OP_PULL:
        message.pull.slots = one_in(garbage, 4) ? any : small;
        message.pull.wait = small & 1;
        break;
    case OP_UNPULL:
        message.unpull.pull = small;
        break;
    case OP_UNSUBSCRIBE:
        message.unsubscribe.sub = small;
        break;
    case OP_MORE:
        message.more.bytes = any;
        break;
    default:
        break;
    }
    return message;
}

static void add_batch(Garbage *garbage) {
    uint8_t batch[WIRE_HEAD + 4 * 4096] = {WIRE_MAGIC, WIRE_PROTOCOL}, *at = batch + WIRE_HEAD;
    uint64_t n = 1 + dice_below(&garbage->dice, 4);
    size_t from;

    for (; n > 0; n--) {
        Message message = any_message(garbage);

        if (message_size(&message) < (size_t)(batch + sizeof(batch) - at))
            at = message_write(at, &message);
    }
    from = garbage->len + 9;
    add_frame(garbage, batch, (size_t)(at - batch), one_in(garbage, 30) ? 1 : 0);
    if (one_in(garbage, 3) && from < garbage->len)
        damage(garbage, from);
}

static void add_command(Garbage *garbage) {
    static const char *const commands[] = {"\4PING\0\12abc", "\4PONGabc",    "\4PING",
                                           "\5READY",        "\5ERROR\3bad", "\3XYZ"};
    static const uint8_t lens[] = {10, 8, 5, 6, 10, 4};
    uint64_t i = dice_below(&garbage->dice, sizeof(lens));

    add_frame(garbage, commands[i], lens[i], FLAG_COMMAND);
}

static void add_handshake(Garbage *garbage) {
    static const uint8_t ready[] = "\4\x1C\5READY\xBSocket-Type\0\0\0\6DEALER";
    size_t from = garbage->len;

    add(garbage,
        one_in(garbage, 4) ? "\xFF\0\0\0\0\0\0\0\0\x7F\3\0NULL"
                           : "\xFF\0\0\0\0\0\0\0\0\x7F\3\1NULL",
        16);
    add(garbage, (const uint8_t[48]){0}, 48);
    if (one_in(garbage, 12))
        damage(garbage, from);
    from = garbage->len;
    add(garbage, ready, sizeof(ready) - 1);
    if (one_in(garbage, 12))
        damage(garbage, from);
}

static void add_hello(Garbage *garbage) {
    uint8_t batch[256] = {WIRE_MAGIC, WIRE_PROTOCOL}, token[WIRE_TOKEN] = "garbage";
    Message hello = {.op = OP_HELLO,
                     .hello.version_min = 1,
                     .hello.version_max = 1,
                     .hello.client = span_of(token, WIRE_TOKEN),
                     .hello.bytes = dice_any(&garbage->dice),
                     .hello.text = any_name(garbage)};
    size_t from = garbage->len;

    /* Some connections use the id of a client that was connected before, or is connected now. */
    token[WIRE_TOKEN - 1] = (uint8_t)dice_below(&garbage->dice, 64);
    add_frame(garbage, batch, (size_t)(message_write(batch + WIRE_HEAD, &hello) - batch), 0);
    if (one_in(garbage, 12))
        damage(garbage, from);
}

/* ---- connections ---- */

static void end(Garbage *garbage, int fd) {
    char bytes[4096];

    if (one_in(garbage, 2))
        recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
    if (one_in(garbage, 4)) {
        struct linger linger = {.l_onoff = 1};

        setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    }
    close(fd);
}

static int begin(Garbage *garbage, uint16_t port) {
    struct timeval second = {.tv_sec = 1};
    int fd = raw_connect(port);

    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &second, sizeof(second));
    garbage->len = 0;
    if (!one_in(garbage, 20))
        add_handshake(garbage);
    if (!one_in(garbage, 20))
        add_hello(garbage);
    for (uint64_t n = dice_below(&garbage->dice, MESSAGES_MAX); n > 0; n--)
        if (one_in(garbage, 8))
            add_command(garbage);
        else
            add_batch(garbage);
    raw_bytes(fd, garbage->bytes, garbage->len);
    if (one_in(garbage, 10))
        shutdown(fd, SHUT_WR);
    return fd;
}

static bool is_given_back(ferry_client *observer, uint64_t before) {
    uint64_t until_ms = clock_ms() + PATIENCE_MS;

    while (broker_stat(observer, "memory_connections") > before + before / 10 + SLACK) {
        if (clock_ms() > until_ms)
            return false;
        sleep_ms(50);
    }
    return true;
}

static void garbage_costs_its_connection_alone(void) {
    static Garbage garbage;
    uint64_t n = said_or("FERRY_TEST_CONNECTIONS", CONNECTIONS), n_made = 0, before;
    int open[OPEN_MAX], status;
    ferry_client *observer;
    Bystander *bystander;
    Noticed noticed;
    Daemon broker;

    garbage.dice = dice_new(71);
    daemon_start(&broker,
                 &(DaemonOptions){.tcp = true, .config = "[broker]\nclient_memory = 100ms\n"});
    observer = open_with(broker.url, &(ferry_options){.timeout_ms = PATIENCE_MS});
    bystander = bystander_start(broker.url);
    before = broker_stat(observer, "memory_connections");
    memset(open, -1, sizeof(open));
    for (uint64_t i = 0; i < n; i++) {
        size_t place = dice_below(&garbage.dice, OPEN_MAX);

        if (open[place] >= 0)
            end(&garbage, open[place]);
        open[place] = begin(&garbage, broker.port);
        n_made += open[place] >= 0;
    }
    for (size_t i = 0; i < OPEN_MAX; i++)
        if (open[i] >= 0)
            end(&garbage, open[i]);
    noticed = bystander_stop(bystander);
    CU_ASSERT_TRUE(is_given_back(observer, before));
    CU_ASSERT_EQUAL(n_made, n);
    CU_ASSERT_TRUE(noticed.n_calls > 0);
    CU_ASSERT_EQUAL(noticed.n_failed, 0);
    CU_ASSERT_TRUE(daemon_log_is_clean(&broker));
    ferry_close(observer);
    /* A sanitizer that finds a leak changes the exit status. */
    status = process_end(&broker.process, SIGTERM, PATIENCE_MS);
    CU_ASSERT_EQUAL(status, 0);
    printf("\n    %llu connections of garbage, seed %llu; the broker ended with status %d; beside "
           "it %ld calls, worst %.1f ms",
           (unsigned long long)n_made, (unsigned long long)garbage.dice.seed, status,
           noticed.n_calls, noticed.worst_ms);
    daemon_end(&broker);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(garbage_costs_its_connection_alone),
        TESTS_END,
    };

    return run_suite("structured garbage", tests);
}
