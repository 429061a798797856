/* SPDX-License-Identifier: Apache-2.0 */

/* Callers with a valid ticket that break the rules of streams at a server's endpoint. */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "support/broker.h"
#include "support/process.h"
#include "support/raw-peer.h"
#include "support/suite.h"

enum { PATIENCE_MS = 120000, REPEATED = 3000 };

static Daemon daemon_;
static TestBroker broker; /* its URL */
static Runner server;

/* Counts the items until END. */
static void on_items(ferry_request *request, void *ctx) {
    ferry_error error = FERRY_ERROR_INIT;
    ferry_bytes item;
    int r;

    while ((r = ferry_request_receive(request, &item)) > 0)
        ++*(int *)ctx;
    if (r == 0)
        ferry_request_return(request, ferry_bytes_of(ctx, sizeof(int)));
    else if (r != -EAGAIN) /* a request that was cancelled needs an answer, too */
        ferry_request_fail(request, r, &error);
    ferry_error_clear(&error);
}

static int n_items;

static int count(ferry_request *request, void *ctx) {
    *(int *)ctx = 0;
    return ferry_request_watch(ferry_request_defer(request), on_items, ctx);
}

static void on_end(ferry_request *request, void *ctx) {
    ferry_error error = FERRY_ERROR_INIT;

    (void)ctx;
    if (ferry_request_cancelled(request))
        ferry_request_fail(request, -ECANCELED, &error);
    ferry_error_clear(&error);
}

/* Answers when it is cancelled, and not before. */
static int wait_for_cancel(ferry_request *request, void *ctx) {
    return ferry_request_watch(ferry_request_defer(request), on_end, ctx);
}

static int say(ferry_request *request, void *ctx) {
    (void)ctx;
    return ferry_request_return(request, request->body);
}

static int serve(ferry_client *client, void *ctx) {
    const ferry_serve_options options = {.listen = "tcp://127.0.0.1:*", .slots = 10};
    int r = ferry_serve_method(client, "calc.Sum.count", &options, count, ctx, NULL, NULL);

    if (r == 0)
        r = ferry_serve_method(client, "calc.Sum.wait", NULL, wait_for_cancel, ctx, NULL, NULL);
    return r < 0 ? r : ferry_serve_method(client, "calc.Sum.say", NULL, say, NULL, NULL, NULL);
}

/* Asks the broker for the server's endpoint, and connects there with the ticket. */
static int connect_raw(int *ret_session) {
    Message offer, welcome,
        hello = {
            .op = OP_HELLO, .hello.version_min = 1, .hello.version_max = 1, .hello.bytes = 1 << 20};
    uint8_t token[WIRE_TOKEN];
    char endpoint[64];
    int fd;

    *ret_session = raw_session(daemon_.port, 1 << 20);
    CU_ASSERT_TRUE_FATAL(*ret_session >= 0);
    raw_say(*ret_session, &(Message){.op = OP_WATCH, .id = 1, .name = span_text("calc.Sum")});
    CU_ASSERT_EQUAL_FATAL(raw_hear(*ret_session, OP_SERVER, PATIENCE_MS, &offer), HEARD);
    snprintf(endpoint, sizeof(endpoint), "%.*s", (int)offer.server.endpoint.len,
             (const char *)offer.server.endpoint.data);
    memcpy(token, offer.server.ticket.data, WIRE_TOKEN);
    hello.hello.client = span_of(token, WIRE_TOKEN);
    fd = raw_connect((uint16_t)atoi(strrchr(endpoint, ':') + 1));
    CU_ASSERT_TRUE_FATAL(fd >= 0 && raw_greet(fd, NULL, 0) && raw_say(fd, &hello));
    CU_ASSERT_EQUAL_FATAL(raw_hear(fd, OP_WELCOME, PATIENCE_MS, &welcome), HEARD);
    return fd;
}

static void call(int fd, uint64_t id, const char *method, uint64_t flags) {
    raw_say(fd, &(Message){.op = OP_CALL,
                           .id = id,
                           .name = span_text("calc.Sum"),
                           .body = span_text("hello"),
                           .call.method = span_text(method),
                           .call.flags = flags,
                           .call.timeout_ms = PATIENCE_MS});
}

static void expect_error(int fd, uint64_t id, const char *text) {
    Message message;

    CU_ASSERT_EQUAL_FATAL(raw_hear(fd, OP_ERROR, PATIENCE_MS, &message), HEARD);
    CU_ASSERT_EQUAL(message.id, id);
    CU_ASSERT_STRING_EQUAL(raw_error_text(message.error.map, "type"), "ferry.Protocol");
    CU_ASSERT_PTR_NOT_NULL(strstr(raw_error_text(message.error.map, "message"), text));
}

static void expect_served(int fd, uint64_t id) {
    Message message;

    call(fd, id, "say", 0);
    CU_ASSERT_EQUAL_FATAL(raw_hear(fd, OP_OK, PATIENCE_MS, &message), HEARD);
    CU_ASSERT_EQUAL(message.id, id);
}

static void begin(void) {
    daemon_start(&daemon_, &(DaemonOptions){.tcp = true});
    strcpy(broker.url, daemon_.url);
    runner_start(&server, &broker, serve, &n_items);
}

static void end(int fd, int session) {
    raw_close(fd);
    raw_close(session);
    runner_stop(&server);
    daemon_kill(&daemon_);
    daemon_end(&daemon_);
}

static void a_stream_ends_once(void) {
    Message item = {.op = OP_ITEM, .id = 1, .body = span_text("x")}, message;
    int session, fd, n;

    begin();
    fd = connect_raw(&session);
    call(fd, 1, "count", CALL_STREAM_IN);
    raw_say(fd, &item);
    for (int i = 0; i < REPEATED; i++)
        raw_say(fd, &(Message){.op = OP_END, .id = 1});
    CU_ASSERT_EQUAL_FATAL(raw_hear(fd, OP_OK, PATIENCE_MS, &message), HEARD);
    CU_ASSERT_EQUAL_FATAL(message.body.len, sizeof(n));
    memcpy(&n, message.body.data, sizeof(n));
    CU_ASSERT_EQUAL(n, 1);
    expect_served(fd, 2);
    end(fd, session);
}

static void items_need_a_stream_that_is_open(void) {
    Message item = {.op = OP_ITEM, .id = 3, .body = span_text("x")};
    int session, fd;

    begin();
    fd = connect_raw(&session);
    call(fd, 3, "wait", CALL_STREAM_OUT); /* no items from the caller */
    raw_say(fd, &item);
    expect_error(fd, 3, "no stream in this direction");
    call(fd, 4, "count", CALL_STREAM_IN);
    raw_say(fd, &(Message){.op = OP_MORE, .id = 4, .more.bytes = 10});
    expect_error(fd, 4, "no stream in this direction");
    expect_served(fd, 5);
    end(fd, session);
}

static void credit_has_a_limit(void) {
    int session, fd;

    begin();
    fd = connect_raw(&session);
    call(fd, 1, "count", CALL_STREAM_IN | CALL_STREAM_OUT);
    raw_say(fd, &(Message){.op = OP_MORE, .id = 1, .more.bytes = UINT64_MAX});
    expect_error(fd, 1, "over 64 MiB of credit");
    call(fd, 2, "count", CALL_STREAM_IN | CALL_STREAM_OUT);
    for (int i = 0; i < 3; i++)
        raw_say(fd, &(Message){.op = OP_MORE, .id = 2, .more.bytes = 40 << 20});
    expect_error(fd, 2, "over 64 MiB of credit");
    expect_served(fd, 3);
    end(fd, session);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(a_stream_ends_once),
        TEST(items_need_a_stream_that_is_open),
        TEST(credit_has_a_limit),
        TESTS_END,
    };

    return run_suite("client: rogue callers of direct calls", tests);
}
