/* SPDX-License-Identifier: Apache-2.0 */

/* Streams in both directions. */

#include "support/broker.h"
#include "support/suite.h"

static TestBroker broker;
static Runner server;

static const ferry_bytes one = {"\x01", 1, NULL};

static int count_up(ferry_request *request, void *ctx) {
    int32_t n = 0, r;
    char item[16];

    (void)ctx;
    if (ferry_unpack(request->body, NULL, "i", &n) < 0)
        return -EINVAL;
    for (int32_t i = 0; i < n; i++) {
        snprintf(item, sizeof(item), "%d", i);
        r = ferry_request_yield(request, ferry_str(item));
        if (r < 0)
            return r;
    }
    return ferry_request_return(request, one);
}

static int total(ferry_request *request, void *ctx) {
    uint64_t bytes = 0;
    ferry_bytes item;
    char text[32];
    int r;

    (void)ctx;
    while ((r = ferry_request_receive(request, &item)) > 0)
        bytes += item.len;
    if (r < 0)
        return r;
    snprintf(text, sizeof(text), "%llu", (unsigned long long)bytes);
    return ferry_request_return(request, ferry_str(text));
}

static int echo(ferry_request *request, void *ctx) {
    ferry_bytes item;
    int r;

    (void)ctx;
    while ((r = ferry_request_receive(request, &item)) > 0) {
        r = ferry_request_yield(request, item);
        if (r < 0)
            return r;
    }
    return r < 0 ? r : ferry_request_return(request, one);
}

static int fail(ferry_request *request, void *ctx) {
    (void)ctx;
    ferry_request_yield(request, one);
    return ferry_request_throw(request, "test.Broken", NULL, "in mid-stream");
}

/* Computes so long that messages which arrive in this time are read before the next call begins. */
static int compute(ferry_request *request, void *ctx) {
    (void)ctx;
    usleep(100000);
    return ferry_request_return(request, one);
}

static int set_up(ferry_client *client, void *ctx) {
    return ferry_serve_method(client, "test.S.count", &(ferry_serve_options){.slots = 2}, count_up,
                              ctx, NULL, NULL) < 0 ||
                   ferry_serve_method(client, "test.S.compute", NULL, compute, ctx, NULL, NULL) <
                       0 ||
                   ferry_serve_method(client, "test.S.total", NULL, total, ctx, NULL, NULL) < 0 ||
                   ferry_serve_method(client, "test.S.echo", NULL, echo, ctx, NULL, NULL) < 0 ||
                   ferry_serve_method(client, "test.S.fail", NULL, fail, ctx, NULL, NULL) < 0
               ? -1
               : 0;
}

static ferry_bytes packed(int32_t n, char to[5]) {
    to[0] = (char)0xD2;
    for (int i = 0; i < 4; i++)
        to[1 + i] = (char)((uint32_t)n >> (24 - 8 * i));
    return ferry_bytes_of(to, 5);
}

static void items_come_in_order_and_then_the_end(void) {
    ferry_client *client = connect_client(&broker);
    ferry_error error = FERRY_ERROR_INIT;
    ferry_stream *stream = NULL;
    ferry_bytes item;
    char args[5], text[16];
    int n = 0, r;

    CU_ASSERT_EQUAL(ferry_stream_open(client, "test.S.count", packed(100000, args), FERRY_RECEIVE,
                                      &stream, &error),
                    0);
    while ((r = ferry_stream_next(stream, &item, &error)) > 0) {
        snprintf(text, sizeof(text), "%d", n++);
        if (item.len != strlen(text) || memcmp(item.data, text, item.len) != 0)
            break;
    }
    CU_ASSERT_EQUAL(r, 0);
    CU_ASSERT_EQUAL(n, 100000);
    CU_ASSERT_EQUAL(ferry_stream_result(stream, &item, &error), 0);
    CU_ASSERT_EQUAL(item.len, 1);
    if (r < 0)
        ferry_error_print(&error, stderr);
    ferry_error_clear(&error);
    ferry_stream_close(stream);
    ferry_close(client);
}

static void sent_items_are_received_even_large_ones(void) {
    static char block[300 << 10];
    ferry_client *client = connect_client(&broker);
    ferry_error error = FERRY_ERROR_INIT;
    ferry_stream *stream = NULL;
    ferry_bytes result = {NULL, 0, NULL};
    size_t sent = 0;
    char text[32];

    CU_ASSERT_EQUAL(ferry_stream_open(client, "test.S.total", one, FERRY_SEND, &stream, &error), 0);
    for (int i = 0; i < 200; i++) {
        size_t len = i % 10 == 0 ? sizeof(block) : 1000;

        CU_ASSERT_EQUAL(ferry_stream_send(stream, ferry_bytes_of(block, len), &error), 0);
        sent += len;
    }
    CU_ASSERT_EQUAL(ferry_stream_end(stream, &error), 0);
    CU_ASSERT_EQUAL(ferry_stream_result(stream, &result, &error), 0);
    /* The bytes of a result do not end with a zero. */
    snprintf(text, sizeof(text), "%.*s", (int)result.len,
             result.data ? (const char *)result.data : "");
    CU_ASSERT_EQUAL(strtoull(text, NULL, 10), sent);
    if (error.type)
        ferry_error_print(&error, stderr);
    ferry_error_clear(&error);
    ferry_stream_close(stream);
    ferry_close(client);
}

static void ignore(const ferry_reply *reply, const ferry_error *error, void *ctx) {
    int *n = ctx;

    CU_ASSERT_PTR_NULL(error);
    *n += reply != NULL;
}

static void a_stream_that_waited_behind_a_long_call_has_all_its_items(void) {
    ferry_client *client = connect_client(&broker);
    const ferry_options hurry = {.timeout_ms = 60000};
    ferry_error error = FERRY_ERROR_INIT;
    ferry_bytes result = {NULL, 0, NULL};
    ferry_stream *stream = NULL;
    ferry_client *handle = NULL;
    int n = 0;

    CU_ASSERT_EQUAL(ferry_with(client, &hurry, &handle, NULL), 0);
    for (int round = 0; round < 3; round++) {
        CU_ASSERT_EQUAL(ferry_call_async(handle, "test.S.compute", one, ignore, &n, NULL), 0);
        CU_ASSERT_EQUAL(ferry_stream_open(handle, "test.S.total", one, FERRY_SEND, &stream, &error),
                        0);
        for (int i = 0; i < 100; i++)
            CU_ASSERT_EQUAL(ferry_stream_send(stream, ferry_str("0123456789"), &error), 0);
        CU_ASSERT_EQUAL(ferry_stream_end(stream, &error), 0);
        CU_ASSERT_EQUAL(ferry_stream_result(stream, &result, &error), 0);
        CU_ASSERT_EQUAL(result.len, 4);
        if (result.len == 4)
            CU_ASSERT_EQUAL(memcmp(result.data, "1000", 4), 0);
        stream = ferry_stream_close(stream);
    }
    CU_ASSERT_TRUE(process_until(client, &n, 3));
    ferry_error_clear(&error);
    ferry_close(handle);
    ferry_close(client);
}

static void items_keep_their_order_whatever_their_size(void) {
    enum { N = 60 };
    static char block[200 << 10];
    ferry_client *client = connect_client(&broker);
    ferry_error error = FERRY_ERROR_INIT;
    ferry_stream *stream = NULL;
    ferry_bytes item;
    int sent = 0, got = 0, r = 0;

    CU_ASSERT_EQUAL(
        ferry_stream_open(client, "test.S.echo", one, FERRY_SEND | FERRY_RECEIVE, &stream, &error),
        0);
    while (got < N && r >= 0) {
        /* A large item, then small ones that must not overtake it. */
        for (int burst = 0; burst < 4 && sent < N; burst++, sent++) {
            size_t len = sent % 4 == 0 ? sizeof(block) : 100;

            block[0] = (char)sent;
            CU_ASSERT_EQUAL(ferry_stream_send(stream, ferry_bytes_of(block, len), &error), 0);
        }
        if (sent == N)
            ferry_stream_end(stream, NULL);
        for (int burst = 0; burst < 4; burst++) {
            r = ferry_stream_next(stream, &item, &error);
            if (r <= 0)
                break;
            CU_ASSERT_EQUAL(*(const char *)item.data, (char)got);
            got++;
        }
    }
    CU_ASSERT_EQUAL(got, N);
    if (error.type)
        ferry_error_print(&error, stderr);
    ferry_error_clear(&error);
    ferry_stream_close(stream);
    ferry_close(client);
}

static void an_error_ends_a_stream(void) {
    ferry_client *client = connect_client(&broker);
    ferry_error error = FERRY_ERROR_INIT;
    ferry_stream *stream = NULL;
    ferry_bytes item;

    CU_ASSERT_EQUAL(ferry_stream_open(client, "test.S.fail", one, FERRY_RECEIVE, &stream, &error),
                    0);
    CU_ASSERT_EQUAL(ferry_stream_next(stream, &item, &error), 1);
    CU_ASSERT_EQUAL(ferry_stream_next(stream, &item, &error), -EREMOTEIO);
    CU_ASSERT_STRING_EQUAL(error.type, "test.Broken");
    CU_ASSERT_EQUAL(ferry_stream_next(stream, &item, &error), -EREMOTEIO);
    ferry_error_clear(&error);
    ferry_stream_close(stream);
    ferry_close(client);
}

static void a_closed_stream_is_cancelled_at_the_server(void) {
    ferry_client *client = connect_client(&broker);
    ferry_stream *stream = NULL;
    ferry_bytes item;
    char args[5];

    CU_ASSERT_EQUAL(ferry_stream_open(client, "test.S.count", packed(INT32_MAX, args),
                                      FERRY_RECEIVE, &stream, NULL),
                    0);
    CU_ASSERT_EQUAL(ferry_stream_next(stream, &item, NULL), 1);
    CU_ASSERT_PTR_NULL(ferry_stream_close(stream));
    /* Its only slot is free again. */
    CU_ASSERT_EQUAL(
        ferry_stream_open(client, "test.S.count", packed(1, args), FERRY_RECEIVE, &stream, NULL),
        0);
    CU_ASSERT_EQUAL(ferry_stream_next(stream, &item, NULL), 1);
    CU_ASSERT_EQUAL(ferry_stream_next(stream, &item, NULL), 0);
    ferry_stream_close(stream);
    ferry_close(client);
}

typedef struct Watch {
    int n, over;
} Watch;

static void take(ferry_stream *stream, void *ctx) {
    Watch *watch = ctx;
    ferry_bytes item;
    int r;

    while ((r = ferry_stream_next(stream, &item, NULL)) > 0)
        watch->n++;
    if (r != -EAGAIN)
        watch->over++;
}

static void a_watched_stream_does_not_wait(void) {
    ferry_client *client = connect_client(&broker);
    ferry_stream *stream = NULL;
    ferry_bytes item;
    Watch watch = {0};
    char args[5];

    CU_ASSERT_EQUAL(
        ferry_stream_open(client, "test.S.count", packed(5000, args), FERRY_RECEIVE, &stream, NULL),
        0);
    CU_ASSERT_EQUAL(ferry_stream_watch(stream, take, &watch), 0);
    CU_ASSERT_EQUAL(ferry_stream_next(stream, &item, NULL), -EAGAIN);
    CU_ASSERT_TRUE(process_until(client, &watch.over, 1));
    CU_ASSERT_EQUAL(watch.n, 5000);
    ferry_stream_close(stream);
    ferry_close(client);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(items_come_in_order_and_then_the_end),
        TEST(sent_items_are_received_even_large_ones),
        TEST(a_stream_that_waited_behind_a_long_call_has_all_its_items),
        TEST(items_keep_their_order_whatever_their_size),
        TEST(an_error_ends_a_stream),
        TEST(a_closed_stream_is_cancelled_at_the_server),
        TEST(a_watched_stream_does_not_wait),
        TESTS_END,
    };
    int status;

    broker_spawn(&broker);
    runner_start(&server, &broker, set_up, NULL);
    status = run_suite("client: streams", tests);
    runner_stop(&server);
    broker_terminate(&broker);
    return status;
}
