/* SPDX-License-Identifier: Apache-2.0 */

/* Calls from a client to a server. */

#include "support/broker.h"
#include "support/suite.h"

static TestBroker broker;
static Runner server;

static int add(ferry_request *request, void *ctx) {
    int32_t a, b;
    char sum[9];

    (void)ctx;
    if (ferry_unpack(request->body, NULL, "ii", &a, &b) < 0)
        return -EINVAL;
    sum[0] = (char)0xD3;
    for (int i = 0; i < 8; i++)
        sum[1 + i] = (char)((uint64_t)((int64_t)a + b) >> (56 - 8 * i));
    return ferry_request_return(request, ferry_bytes_of(sum, 9));
}

static int echo(ferry_request *request, void *ctx) {
    (void)ctx;
    return ferry_request_return(request, request->body);
}

static int throw(ferry_request * request, void *ctx) {
    (void)ctx;
    return ferry_request_throw(request, "calc.TooBig", NULL, "%d is too big", 7);
}

static int forget(ferry_request *request, void *ctx) {
    (void)request, (void)ctx;
    return 0;
}

/* The broker refuses this large result after the handler has returned. */
static void return_too_much(void *ctx) {
    enum { LEN = (64 << 20) + 1 };
    FERRY_AUTO(ferry_free) char *body = ferry_alloc(LEN);

    CU_ASSERT_EQUAL(ferry_request_return(ctx, ferry_shared(body, LEN)), -EMSGSIZE);
}

static int answer_later(ferry_request *request, void *ctx) {
    ferry_client *const *client = ctx;

    return ferry_post(*client, return_too_much, ferry_request_defer(request));
}

static int fail(ferry_request *request, void *ctx) {
    (void)request, (void)ctx;
    return -ENOMEM;
}

static int twice(ferry_request *request, void *ctx) {
    _Atomic int *second = ctx;

    ferry_request_return(request, ferry_bytes_of("\x01", 1));
    *second = ferry_request_return(request, ferry_bytes_of("\x02", 1));
    return 0;
}

/* Returns "NAME=VALUE;" for each header, in one text. */
static int list_headers(ferry_request *request, void *ctx) {
    char text[256] = "", packed[258];
    const char *name = NULL;

    (void)ctx;
    while ((name = ferry_request_header_after(request, name))) {
        size_t len = strlen(text);

        snprintf(text + len, sizeof(text) - len, "%s=%s;", name,
                 ferry_request_header(request, name));
    }
    CU_ASSERT_PTR_NULL(ferry_request_header(request, "none"));
    packed[0] = (char)0xD9;
    packed[1] = (char)strlen(text);
    memcpy(packed + 2, text, strlen(text));
    return ferry_request_return(request, ferry_bytes_of(packed, strlen(text) + 2));
}

static _Atomic int second_answer;

static int set_up(ferry_client *client, void *ctx) {
    ferry_error error = FERRY_ERROR_INIT;
    const ferry_serve_options options = {.slots = 1000};

    (void)ctx;
    if (ferry_serve_method(client, "test.Calc.add", &options, add, NULL, NULL, &error) < 0 ||
        ferry_serve_method(client, "test.Calc.echo", NULL, echo, NULL, NULL, &error) < 0 ||
        ferry_serve_method(client, "test.Calc.headers", NULL, list_headers, NULL, NULL, &error) <
            0 ||
        ferry_serve_method(client, "test.Calc.throw", NULL, throw, NULL, NULL, &error) < 0 ||
        ferry_serve_method(client, "test.Calc.forget", NULL, forget, NULL, NULL, &error) < 0 ||
        ferry_serve_method(client, "test.Calc.fail", NULL, fail, NULL, NULL, &error) < 0 ||
        ferry_serve_method(client, "test.Calc.twice", NULL, twice, &second_answer, NULL, &error) <
            0) {
        ferry_error_print(&error, stderr);
        return -1;
    }
    return 0;
}

static void a_call_brings_its_result(void) {
    ferry_client *client = connect_client(&broker);
    ferry_reply *reply = NULL;
    ferry_error error = FERRY_ERROR_INIT;

    CU_ASSERT_EQUAL(ferry_callf(client, "test.Calc.add", &reply, &error, "ii", 2, 3), 0);
    CU_ASSERT_EQUAL(reply_int(reply), 5);
    ferry_free(reply);
    ferry_error_clear(&error);
    ferry_close(client);
}

typedef struct Counts {
    int ok, failed;
} Counts;

static void count(const ferry_reply *reply, const ferry_error *error, void *ctx) {
    Counts *counts = ctx;

    if (reply)
        counts->ok++;
    else
        counts->failed++;
    CU_ASSERT_TRUE((reply != NULL) != (error != NULL));
}

static void a_thousand_calls_are_answered_once_each(void) {
    ferry_client *client = connect_client(&broker);
    Counts counts = {0};

    for (int i = 0; i < 1000; i++)
        CU_ASSERT_EQUAL(ferry_call_async(client, "test.Calc.echo", ferry_bytes_of("\x01", 1), count,
                                         &counts, NULL),
                        0);
    CU_ASSERT_EQUAL(counts.ok, 0);
    CU_ASSERT_TRUE(process_until(client, &counts.ok, 1000));
    CU_ASSERT_EQUAL(counts.failed, 0);
    ferry_close(client);
}

static void a_large_body_comes_back_whole(void) {
    enum { LEN = 5 << 20 };
    ferry_client *client = connect_client(&broker);
    uint8_t *body = ferry_alloc(LEN);
    ferry_reply *reply = NULL;
    ferry_error error = FERRY_ERROR_INIT;

    for (size_t i = 0; i < LEN; i++)
        body[i] = (uint8_t)(i * 2654435761u >> 13);
    CU_ASSERT_EQUAL(ferry_call(client, "test.Calc.echo", ferry_shared(body, LEN), &reply, &error),
                    0);
    if (reply) {
        CU_ASSERT_EQUAL(reply->body.len, LEN);
        CU_ASSERT_EQUAL(memcmp(reply->body.data, body, LEN), 0);
    } else {
        ferry_error_print(&error, stderr);
    }
    ferry_free(reply);
    ferry_free(body);
    ferry_error_clear(&error);
    ferry_close(client);
}

static int serve_too_much(ferry_client *client, void *ctx) {
    ferry_client **self = ctx;

    *self = client;
    return ferry_serve_method(client, "test.Large.result", NULL, answer_later, self, NULL, NULL);
}

/* The server has one slot: if the slot stayed taken, the second call would wait. */
static void a_result_that_is_too_large_is_an_error_to_the_caller(void) {
    ferry_client *client = connect_client(&broker), *self = NULL;
    ferry_error error = FERRY_ERROR_INIT;
    Runner large;

    runner_start(&large, &broker, serve_too_much, &self);
    for (int i = 0; i < 2; i++) {
        CU_ASSERT_EQUAL(
            ferry_call(client, "test.Large.result", ferry_bytes_of("\x90", 1), NULL, &error),
            -EMSGSIZE);
        CU_ASSERT_STRING_EQUAL(error.type, "ferry.TooBig");
    }
    ferry_error_clear(&error);
    runner_stop(&large);
    ferry_close(client);
}

static void errors_name_their_cause(void) {
    static const struct {
        const char *method, *type;
        int code;
    } cases[] = {
        {"test.Calc.throw", "calc.TooBig", -EREMOTEIO},
        {"test.Calc.fail", "ferry.Internal", -EIO},
        {"test.Calc.forget", "ferry.Internal", -EIO},
        {"test.Calc.nothing", "ferry.NoSuchMethod", -ENOSYS},
        {"test.Nobody.add", "ferry.NoSuchService", -EHOSTUNREACH},
        {"no-dot", "ferry.Misuse", -EINVAL},
        {"two..dots", "ferry.Misuse", -EINVAL},
    };
    ferry_client *client = connect_client(&broker);
    ferry_error error = FERRY_ERROR_INIT;

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        CU_ASSERT_EQUAL(
            ferry_call(client, cases[i].method, ferry_bytes_of("\x90", 1), NULL, &error),
            cases[i].code);
        CU_ASSERT_STRING_EQUAL(error.type ? error.type : "", cases[i].type);
    }
    ferry_error_clear(&error);
    ferry_close(client);
}

static void a_handle_adds_its_headers_to_those_it_has_inherited(void) {
    const ferry_options outer = {
        .n_headers = 2, .headers = (ferry_header[]){{"tenant", "one"}, {"colour", "green"}}};
    const ferry_options inner = {.n_headers = 1, .headers = &(ferry_header){"colour", "blue"}};
    ferry_client *client = NULL, *handle = NULL;
    ferry_reply *reply = NULL;
    char *text = NULL;

    CU_ASSERT_EQUAL(ferry_open(broker.url, &outer, &client, NULL), 0);
    CU_ASSERT_EQUAL(ferry_with(client, &inner, &handle, NULL), 0);
    CU_ASSERT_EQUAL(ferry_callf(client, "test.Calc.headers", &reply, NULL, ""), 0);
    CU_ASSERT_EQUAL(ferry_unpack(reply->body, NULL, "s", &text), 0);
    CU_ASSERT_STRING_EQUAL(text ? text : "", "tenant=one;colour=green;");
    ferry_free(text);
    ferry_free(reply);
    CU_ASSERT_EQUAL(ferry_callf(handle, "test.Calc.headers", &reply, NULL, ""), 0);
    CU_ASSERT_EQUAL(ferry_unpack(reply->body, NULL, "s", &text), 0);
    CU_ASSERT_STRING_EQUAL(text ? text : "", "tenant=one;colour=blue;");
    ferry_free(text);
    ferry_free(reply);
    ferry_close(client);
    ferry_close(handle);
}

/* A server with one slot whose handler defers: it answers a turn later. */
typedef struct OneSlot {
    ferry_client *client;
    ferry_request *kept;
    int n_begun, n_over; /* n_over: requests that began while another one was running */
} OneSlot;

static void answer_kept(void *ctx) {
    OneSlot *one = ctx;
    ferry_request *request = one->kept;

    one->kept = NULL;
    ferry_request_return(request, request->body);
}

static int keep_one(ferry_request *request, void *ctx) {
    OneSlot *one = ctx;

    one->n_begun++;
    one->n_over += one->kept != NULL;
    one->kept = ferry_request_defer(request);
    return ferry_post(one->client, answer_kept, one);
}

typedef struct Answers {
    int n, n_failed;
} Answers;

static void count_answer(const ferry_reply *reply, const ferry_error *error, void *ctx) {
    Answers *answers = ctx;

    (void)reply;
    answers->n++;
    answers->n_failed += error != NULL;
}

static void a_server_that_defers_begins_no_more_than_its_slots(void) {
    enum { CALLS = 300 };
    ferry_client *client = connect_client(&broker);
    OneSlot one = {.client = connect_client(&broker)};
    Answers answers = {0};

    CU_ASSERT_EQUAL(
        ferry_serve_method(one.client, "test.OneSlot.call", NULL, keep_one, &one, NULL, NULL), 0);
    for (int i = 0; i < CALLS; i++)
        CU_ASSERT_EQUAL(ferry_call_async(client, "test.OneSlot.call", ferry_bytes_of("\x90", 1),
                                         count_answer, &answers, NULL),
                        0);
    CU_ASSERT_TRUE(process_both_until(client, one.client, &answers.n, CALLS));
    CU_ASSERT_EQUAL(answers.n_failed, 0);
    CU_ASSERT_EQUAL(one.n_begun, CALLS);
    CU_ASSERT_EQUAL(one.n_over, 0);
    ferry_close(one.client);
    ferry_close(client);
}

static void the_version_is_that_of_the_headers(void) {
    char text[32];

    snprintf(text, sizeof(text), "%d.%d.%d", FERRY_VERSION_MAJOR, FERRY_VERSION_MINOR,
             FERRY_VERSION_PATCH);
    CU_ASSERT_STRING_EQUAL(ferry_version(), text);
    CU_ASSERT_STRING_EQUAL(ferry_version(), FERRY_VERSION);
}

static void a_second_answer_is_refused(void) {
    ferry_client *client = connect_client(&broker);
    ferry_reply *reply = NULL;

    CU_ASSERT_EQUAL(ferry_call(client, "test.Calc.twice", ferry_bytes_of("\x90", 1), &reply, NULL),
                    0);
    CU_ASSERT_EQUAL(reply_int(reply), 1);
    CU_ASSERT_EQUAL(second_answer, -EINVAL);
    ferry_free(reply);
    ferry_close(client);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(a_call_brings_its_result),
        TEST(a_thousand_calls_are_answered_once_each),
        TEST(a_large_body_comes_back_whole),
        TEST(errors_name_their_cause),
        TEST(a_second_answer_is_refused),
        TEST(a_result_that_is_too_large_is_an_error_to_the_caller),
        TEST(a_handle_adds_its_headers_to_those_it_has_inherited),
        TEST(a_server_that_defers_begins_no_more_than_its_slots),
        TEST(the_version_is_that_of_the_headers),
        TESTS_END,
    };
    int status;

    broker_spawn(&broker);
    runner_start(&server, &broker, set_up, NULL);
    status = run_suite("client: calls", tests);
    runner_stop(&server);
    broker_terminate(&broker);
    return status;
}
