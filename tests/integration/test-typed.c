/* SPDX-License-Identifier: Apache-2.0 */
#include "support/broker.h"
#include "support/suite.h"
#include "y_typed.h"

/* ---- the server ---- */

typedef struct Server {
    int notes;
    char note[64];
} Server;

static int add(ferry_request *request, int32_t a, int32_t b, void *ctx) {
    (void)ctx;
    return typed_add_return(request, (int64_t)a + b);
}

static int divide(ferry_request *request, int32_t a, int32_t b, void *ctx) {
    (void)ctx;
    if (b == 0)
        return typed_throw_division_by_zero(
            request, &(typed_division_by_zero){.dividend = a, .message = "b is zero"});
    return typed_div_return(request, (int64_t)a / b);
}

static int numbers(ferry_request *request, const typed_range *range, void *ctx) {
    int32_t v[100];
    size_t n = 0;

    (void)ctx;
    /* The default value arrives. */
    CU_ASSERT_PTR_NOT_NULL(range->step);
    for (int32_t i = range->low; i <= range->high && n < 100; i += *range->step)
        v[n++] = i;
    return typed_numbers_return(request, &(ferry_list_i32){n, v});
}

static int greet(ferry_request *request, const char *name, const char *title, void *ctx) {
    char text[100];

    (void)ctx;
    snprintf(text, sizeof(text), "Hello, %s%s%s!", title ? title : "", title ? " " : "", name);
    return typed_greet_return(request, text);
}

static int reverse(ferry_request *request, ferry_bytes data, void *ctx) {
    FERRY_AUTO(ferry_free) char *out = ferry_alloc(data.len);

    (void)ctx;
    for (size_t i = 0; i < data.len; i++)
        out[i] = ((const char *)data.data)[data.len - 1 - i];
    return typed_reverse_return(request, ferry_shared(out, data.len));
}

static int same(ferry_request *request, ferry_uuid id, void *ctx) {
    (void)ctx;
    return typed_same_return(request, id);
}

static int mood(ferry_request *request, typed_mood now, void *ctx) {
    (void)ctx;
    return typed_turn_return(request, now == TYPED_MOOD_CALM ? TYPED_MOOD_CROSS : now);
}

static int shape(ferry_request *request, const typed_shape *value, void *ctx) {
    (void)ctx;
    return typed_echo_return(request, value);
}

static int count(ferry_request *request, const ferry_list_string *words, void *ctx) {
    typed_map_string_i32_entry entries[16];
    size_t n = 0;

    (void)ctx;
    for (size_t i = 0; i < words->n; i++) {
        typed_map_string_i32 so_far = {n, entries};

        if (!typed_map_string_i32_find(&so_far, words->v[i]))
            entries[n++] = (typed_map_string_i32_entry){words->v[i], 0};
        for (size_t k = 0; k < n; k++)
            entries[k].value += strcmp(entries[k].key, words->v[i]) == 0;
    }
    return typed_count_return(request, &(typed_map_string_i32){n, entries});
}

static int half(ferry_request *request, double x, void *ctx) {
    (void)ctx;
    return typed_half_return(request, x / 2);
}

static int flip(ferry_request *request, bool x, void *ctx) {
    (void)ctx;
    return typed_flip_return(request, !x);
}

static int nothing(ferry_request *request, void *ctx) {
    (void)ctx;
    return typed_nothing_return(request);
}

static int note(ferry_request *request, const char *text, void *ctx) {
    Server *server = ctx;

    (void)request;
    server->notes++;
    snprintf(server->note, sizeof(server->note), "%s", text);
    return 0;
}

static int notes(ferry_request *request, void *ctx) {
    return typed_notes_return(request, ((Server *)ctx)->notes);
}

static int forgets(ferry_request *request, void *ctx) {
    (void)ctx;
    /* The function for another method's answer refuses. */
    CU_ASSERT_EQUAL(typed_add_return(request, 1), -EINVAL);
    return 0;
}

static int bad_answer(ferry_request *request, void *ctx) {
    (void)ctx;
    return typed_bad_answer_return(request, "not \xff UTF-8");
}

static int huge(ferry_request *request, void *ctx) {
    static const char zeros[100000];

    (void)ctx;
    return typed_throw_huge(request, &(typed_huge){.data = ferry_bytes_of(zeros, sizeof(zeros))});
}

typedef struct Later {
    ferry_client *client;
    ferry_request *request;
    int32_t a;
} Later;

static void answer_later(void *ctx) {
    Later *later = ctx;

    CU_ASSERT_EQUAL(typed_later_return(later->request, later->a), 0);
    free(later);
}

static ferry_client *serving;

static int later(ferry_request *request, int32_t a, void *ctx) {
    Later *l = malloc(sizeof(*l));

    (void)ctx;
    *l = (Later){serving, ferry_request_defer(request), a};
    return ferry_post(serving, answer_later, l);
}

static int primes(ferry_request *request, int32_t below, void *ctx) {
    (void)ctx;
    for (int32_t n = 2; n < below; n++) {
        bool prime = true;
        int r;

        for (int32_t d = 2; d * d <= n; d++)
            prime = prime && n % d != 0;
        if (prime && (r = typed_primes_yield(request, n)) < 0)
            return r;
    }
    return typed_primes_return(request);
}

static int ranges(ferry_request *request, int32_t n, void *ctx) {
    (void)ctx;
    for (int32_t i = 0; i < n; i++)
        if (typed_ranges_yield(request, &(typed_range){.low = i, .high = i + 1}) < 0)
            return -EIO;
    return typed_ranges_return(request);
}

static int sum(ferry_request *request, void *ctx) {
    int64_t total = 0;
    int32_t n;
    int r;

    (void)ctx;
    while ((r = typed_sum_receive(request, &n)) > 0)
        total += n;
    return r < 0 ? r : typed_sum_return(request, total);
}

static int talk(ferry_request *request, void *ctx) {
    char *word;
    int r;

    (void)ctx;
    while ((r = typed_talk_receive(request, &word)) > 0) {
        char text[64];

        snprintf(text, sizeof(text), "%s?", word);
        ferry_free(word);
        if (typed_talk_yield(request, text) < 0)
            return -EIO;
    }
    return r < 0 ? r : typed_talk_return(request);
}

static const typed_handlers handlers = {
    .add = add,
    .div = divide,
    .numbers = numbers,
    .greet = greet,
    .reverse = reverse,
    .same = same,
    .turn = mood,
    .echo = shape,
    .count = count,
    .half = half,
    .flip = flip,
    .nothing = nothing,
    .note = note,
    .notes = notes,
    .forgets = forgets,
    .bad_answer = bad_answer,
    .explode = huge,
    .later = later,
    .primes = primes,
    .ranges = ranges,
    .sum = sum,
    .talk = talk,
};

static int serve(ferry_client *client, void *ctx) {
    serving = client;
    return typed_serve(client, &handlers, &(ferry_serve_options){.slots = 8}, ctx, NULL, NULL);
}

/* ---- the client ---- */

static TestBroker broker;
static Runner runner;
static Server server;
static ferry_client *client;

static void set_up(void) {
    server = (Server){0};
    broker_spawn(&broker);
    runner_start(&runner, &broker, serve, &server);
    client = connect_client(&broker);
}

static void tear_down(void) {
    client = ferry_close(client);
    runner_stop(&runner);
    broker_terminate(&broker);
}

static void results_of_every_kind_come_back(void) {
    ferry_error error = FERRY_ERROR_INIT;
    ferry_uuid id = {{1, 2, 3}}, got;
    ferry_list_i32 *list = NULL;
    typed_map_string_i32 *counts = NULL;
    typed_shape *round = NULL;
    ferry_bytes *bytes = NULL;
    const char *const words[] = {"a", "b", "a"};
    typed_mood now = 0;
    char *text = NULL;
    int64_t number = 0;
    double d = 0;
    bool b = false;

    set_up();
    CU_ASSERT_EQUAL(typed_add(client, INT32_MAX, 1, &number, &error), 0);
    CU_ASSERT_EQUAL(number, 2147483648);
    CU_ASSERT_EQUAL(typed_numbers(client, &(typed_range){.low = 1, .high = 3}, &list, &error), 0);
    CU_ASSERT_EQUAL(list->n, 3);
    CU_ASSERT_EQUAL(list->v[2], 3);
    ferry_free(list);
    CU_ASSERT_EQUAL(typed_greet(client, "Wörld", NULL, &text, &error), 0);
    CU_ASSERT_STRING_EQUAL(text, "Hello, Wörld!");
    ferry_free(text);
    CU_ASSERT_EQUAL(typed_greet(client, "Lovelace", "Lady", &text, &error), 0);
    CU_ASSERT_STRING_EQUAL(text, "Hello, Lady Lovelace!");
    ferry_free(text);
    CU_ASSERT_EQUAL(typed_reverse(client, ferry_bytes_of("ab\0c", 4), &bytes, &error), 0);
    CU_ASSERT_EQUAL(memcmp(bytes->data, "c\0ba", 4), 0);
    ferry_free(bytes);
    CU_ASSERT_EQUAL(typed_same(client, id, &got, &error), 0);
    CU_ASSERT_EQUAL(memcmp(&id, &got, sizeof(id)), 0);
    CU_ASSERT_EQUAL(typed_turn(client, TYPED_MOOD_CALM, &now, &error), 0);
    CU_ASSERT_STRING_EQUAL(typed_mood_name(now), "CROSS");
    CU_ASSERT_EQUAL(typed_echo(client, &(typed_shape){.which = TYPED_SHAPE_RADIUS, .radius = 2.5},
                               &round, &error),
                    0);
    CU_ASSERT_EQUAL(round->which, TYPED_SHAPE_RADIUS);
    CU_ASSERT_EQUAL(round->radius, 2.5);
    ferry_free(round);
    CU_ASSERT_EQUAL(typed_count(client, &(ferry_list_string){3, words}, &counts, &error), 0);
    CU_ASSERT_EQUAL(*typed_map_string_i32_find(counts, "a"), 2);
    CU_ASSERT_PTR_NULL(typed_map_string_i32_find(counts, "c"));
    ferry_free(counts);
    CU_ASSERT_EQUAL(typed_half(client, 3, &d, &error), 0);
    CU_ASSERT_EQUAL(d, 1.5);
    CU_ASSERT_EQUAL(typed_flip(client, false, &b, &error), 0);
    CU_ASSERT_TRUE(b);
    CU_ASSERT_EQUAL(typed_nothing(client, &error), 0);
    CU_ASSERT_EQUAL(typed_add(client, 1, 2, NULL, &error), 0); /* the caller does not want the
                                                                * result */
    CU_ASSERT_PTR_NULL(error.type);
    tear_down();
}

static void a_declared_exception_arrives_with_its_fields(void) {
    ferry_error error = FERRY_ERROR_INIT;
    const typed_division_by_zero *e;
    int64_t number = 17;

    set_up();
    CU_ASSERT_EQUAL(typed_div(client, 7, 0, &number, &error), -EREMOTEIO);
    CU_ASSERT_EQUAL(number, 17);
    CU_ASSERT_STRING_EQUAL(error.type, "typed.DivisionByZero");
    CU_ASSERT_STRING_EQUAL(error.message, "b is zero");
    CU_ASSERT_PTR_NOT_NULL(strstr(ferry_error_origin(&error), "typed.Typed.div on "));
    e = typed_division_by_zero_in(&error);
    CU_ASSERT_PTR_NOT_NULL_FATAL(e);
    CU_ASSERT_EQUAL(e->dividend, 7);
    CU_ASSERT_PTR_EQUAL(typed_division_by_zero_in(&error), e);
    CU_ASSERT_PTR_NULL(typed_huge_in(&error));
    ferry_error_clear(&error);
    CU_ASSERT_PTR_NULL(typed_division_by_zero_in(&error));
    CU_ASSERT_PTR_NULL(typed_division_by_zero_in(NULL));
    tear_down();
}

static void errors_name_the_place(void) {
    ferry_error error = FERRY_ERROR_INIT;
    ferry_reply *reply = NULL;
    char *text = NULL;
    int32_t n;

    set_up();
    CU_ASSERT_EQUAL(typed_greet(client, NULL, NULL, &text, &error), -EINVAL);
    CU_ASSERT_STRING_EQUAL(error.message, "args.name: the string is NULL");
    CU_ASSERT_EQUAL(typed_numbers(client, NULL, NULL, &error), -EINVAL);
    CU_ASSERT_STRING_EQUAL(error.message, "args.range: it is NULL");
    CU_ASSERT_EQUAL(ferry_callf(client, "typed.Typed.add", &reply, &error, "is", 1, "two"),
                    -EINVAL);
    CU_ASSERT_STRING_EQUAL(error.message, "args.b: expected i32, got str");
    CU_ASSERT_EQUAL(ferry_callf(client, "typed.Typed.add", &reply, &error, "i", 1), -EINVAL);
    CU_ASSERT_STRING_EQUAL(error.message, "args.b: it is missing");
    CU_ASSERT_EQUAL(ferry_callf(client, "typed.Typed.numbers", &reply, &error, "{sisl}", "low", 1,
                                "high", (int64_t)1 << 40),
                    -EINVAL);
    CU_ASSERT_STRING_EQUAL(error.message, "args.range.high: expected i32, got 1099511627776");
    ferry_error_clear(&error);
    CU_ASSERT_EQUAL(typed_forgets(client, &n, &error), -EIO);
    CU_ASSERT_STRING_EQUAL(error.message, "the handler returned without an answer");
    CU_ASSERT_EQUAL(typed_unserved(client, &n, &error), -ENOSYS);
    CU_ASSERT_STRING_EQUAL(error.type, "ferry.NoSuchMethod");
    CU_ASSERT_EQUAL(typed_bad_answer(client, &text, &error), -EIO);
    CU_ASSERT_STRING_EQUAL(error.message,
                           "the server cannot send its answer: result: the string is not UTF-8");
    CU_ASSERT_EQUAL(typed_explode(client, &error), -EIO);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "an exception has"));
    ferry_error_clear(&error);
    tear_down();
}

static void a_oneway_method_waits_for_nothing(void) {
    int32_t n = 0;

    set_up();
    CU_ASSERT_EQUAL(typed_note(client, "hello", NULL), 0);
    for (int i = 0; i < 1000 && n == 0; i++)
        CU_ASSERT_EQUAL(typed_notes(client, &n, NULL), 0);
    CU_ASSERT_EQUAL(n, 1);
    tear_down();
    CU_ASSERT_STRING_EQUAL(server.note, "hello");
}

static int32_t count_notes(int32_t wanted) {
    int32_t n = 0;

    for (int i = 0; i < 10000 && n < wanted; i++)
        if (typed_notes(client, &n, NULL) < 0)
            break;
    return n;
}

static void oneway_calls_outlive_the_client_that_made_them(void) {
    ferry_client *other, *handle = NULL;
    ferry_error error = FERRY_ERROR_INIT;

    set_up();
    other = connect_client(&broker);
    for (int i = 0; i < 10; i++)
        CU_ASSERT_EQUAL(typed_note(other, "flushed", NULL), 0);
    CU_ASSERT_EQUAL(ferry_flush(other, &error), 0);
    ferry_close(other);
    CU_ASSERT_EQUAL(count_notes(10), 10);

    other = connect_client(&broker);
    for (int i = 0; i < 10; i++)
        CU_ASSERT_EQUAL(typed_note(other, "closed", NULL), 0);
    ferry_close(other);
    CU_ASSERT_EQUAL(count_notes(20), 20);

    /* Before the connection is up, and through a separate handle. */
    CU_ASSERT_EQUAL(ferry_open(broker.url, NULL, &other, NULL), 0);
    CU_ASSERT_EQUAL(ferry_with(other, NULL, &handle, NULL), 0);
    for (int i = 0; i < 10; i++)
        CU_ASSERT_EQUAL(typed_note(handle, "early", NULL), 0);
    ferry_close(handle);
    ferry_close(other);
    CU_ASSERT_EQUAL(count_notes(30), 30);
    tear_down();
}

static void flush_reports_a_oneway_call_that_nobody_takes(void) {
    ferry_error error = FERRY_ERROR_INIT;
    ferry_client *other;

    broker_spawn(&broker);
    other = connect_client(&broker);
    CU_ASSERT_EQUAL(typed_note(other, "nobody", NULL), 0);
    CU_ASSERT_EQUAL(ferry_flush(other, &error), -EHOSTUNREACH);
    CU_ASSERT_STRING_EQUAL(error.type, "ferry.NoSuchService");
    ferry_error_clear(&error);
    CU_ASSERT_EQUAL(ferry_flush(other, NULL), 0);
    ferry_close(other);
    broker_terminate(&broker);
}

typedef struct Answers {
    int n;
    int64_t sum;
    int code;
    const ferry_list_i32 *kept;
} Answers;

static void on_number(int64_t result, const ferry_error *error, void *ctx) {
    Answers *answers = ctx;

    answers->n++;
    answers->sum += result;
    answers->code = error ? error->code : 0;
}

static void on_list(const ferry_list_i32 *result, const ferry_error *error, void *ctx) {
    Answers *answers = ctx;

    CU_ASSERT_PTR_NULL(error);
    answers->kept = ferry_keep(result);
    answers->n++;
}

static void on_nothing(const ferry_error *error, void *ctx) {
    CU_ASSERT_PTR_NULL(error);
    ((Answers *)ctx)->n++;
}

static void callbacks_get_typed_results(void) {
    Answers answers = {0};

    set_up();
    for (int i = 0; i < 100; i++)
        CU_ASSERT_EQUAL(typed_add_async(client, i, 1, on_number, &answers, NULL), 0);
    CU_ASSERT_EQUAL(
        typed_numbers_async(client, &(typed_range){1, 5, NULL}, on_list, &answers, NULL), 0);
    CU_ASSERT_EQUAL(typed_nothing_async(client, on_nothing, &answers, NULL), 0);
    CU_ASSERT_TRUE(process_until(client, &answers.n, 102));
    CU_ASSERT_EQUAL(answers.sum, 4950 + 100);
    CU_ASSERT_EQUAL(answers.kept->n, 5);
    ferry_free(answers.kept);
    answers = (Answers){0};
    CU_ASSERT_EQUAL(typed_div_async(client, 1, 0, on_number, &answers, NULL), 0);
    CU_ASSERT_TRUE(process_until(client, &answers.n, 1));
    CU_ASSERT_EQUAL(answers.code, -EREMOTEIO);
    CU_ASSERT_EQUAL(typed_numbers_async(client, NULL, on_list, &answers, NULL), -EINVAL);
    tear_down();
}

static void an_answer_may_come_later(void) {
    int64_t number = 0;

    set_up();
    CU_ASSERT_EQUAL(typed_later(client, 42, &number, NULL), 0);
    CU_ASSERT_EQUAL(number, 42);
    tear_down();
}

static void streams_carry_values_both_ways(void) {
    static const char *const said[] = {"one", "two"};
    ferry_error error = FERRY_ERROR_INIT;
    ferry_stream *stream = NULL;
    typed_range *range;
    int64_t total = 0;
    int32_t prime, n = 0, last = 0;
    char *word;

    set_up();
    CU_ASSERT_EQUAL(typed_primes(client, 1000, &stream, &error), 0);
    for (; typed_primes_next(stream, &prime, &error) > 0; n++)
        last = prime;
    CU_ASSERT_EQUAL(n, 168);
    CU_ASSERT_EQUAL(last, 997);
    stream = ferry_stream_close(stream);

    CU_ASSERT_EQUAL(typed_ranges(client, 3, &stream, &error), 0);
    for (n = 0; typed_ranges_next(stream, &range, &error) > 0; n++) {
        CU_ASSERT_EQUAL(range->high, n + 1);
        ferry_free(range);
    }
    CU_ASSERT_EQUAL(n, 3);
    stream = ferry_stream_close(stream);

    CU_ASSERT_EQUAL(typed_sum(client, &stream, &error), 0);
    for (n = 1; n <= 1000; n++)
        CU_ASSERT_EQUAL(typed_sum_send(stream, n, &error), 0);
    CU_ASSERT_EQUAL(typed_sum_end(stream, &total, &error), 0);
    CU_ASSERT_EQUAL(total, 500500);
    stream = ferry_stream_close(stream);

    CU_ASSERT_EQUAL(typed_talk(client, &stream, &error), 0);
    for (int i = 0; i < 2; i++) {
        char wanted[16];

        snprintf(wanted, sizeof(wanted), "%s?", said[i]);
        CU_ASSERT_EQUAL(typed_talk_send(stream, said[i], &error), 0);
        CU_ASSERT_EQUAL_FATAL(typed_talk_next(stream, &word, &error), 1);
        CU_ASSERT_STRING_EQUAL(word, wanted);
        ferry_free(word);
    }
    CU_ASSERT_EQUAL(typed_talk_end(stream, &error), 0);
    CU_ASSERT_EQUAL(typed_talk_next(stream, &word, &error), 0);
    stream = ferry_stream_close(stream);
    CU_ASSERT_PTR_NULL(error.type);
    tear_down();
}

static void a_closed_stream_frees_its_server(void) {
    ferry_error error = FERRY_ERROR_INIT;
    ferry_stream *stream = NULL;
    int32_t prime = 0;
    int64_t result = 0;

    set_up();
    CU_ASSERT_EQUAL(typed_primes(client, INT32_MAX, &stream, &error), 0);
    CU_ASSERT_EQUAL(typed_primes_next(stream, &prime, &error), 1);
    CU_ASSERT_EQUAL(prime, 2);
    ferry_stream_close(stream);
    /* The handler is in the middle of the stream: it gets the error when it yields. */
    CU_ASSERT_EQUAL(typed_add(client, 1, 2, &result, &error), 0);
    CU_ASSERT_EQUAL(result, 3);
    CU_ASSERT_PTR_NULL(error.type);
    tear_down();
}

static void a_lost_broker_ends_streams_in_both_directions(void) {
    ferry_error error = FERRY_ERROR_INIT;
    ferry_stream *stream = NULL;
    char *word = NULL;
    int r;

    set_up();
    CU_ASSERT_EQUAL(typed_talk(client, &stream, &error), 0);
    CU_ASSERT_EQUAL(typed_talk_send(stream, "one", &error), 0);
    CU_ASSERT_EQUAL_FATAL(typed_talk_next(stream, &word, &error), 1);
    ferry_free(word);
    broker_kill(&broker);
    r = typed_talk_next(stream, &word, &error);
    CU_ASSERT(r < 0);
    CU_ASSERT_TRUE(error.outcome_unknown);
    ferry_error_clear(&error);
    CU_ASSERT_EQUAL(typed_talk_send(stream, "two", &error), r);
    ferry_error_clear(&error);
    CU_ASSERT_EQUAL(typed_talk_end(stream, NULL), r);
    ferry_stream_close(stream);

    /* Both ends can be used again. */
    broker_respawn(&broker);
    for (int tries = 0; tries < 1200 && (r = typed_add(client, 1, 2, &(int64_t){0}, NULL)) < 0;
         tries++)
        usleep(50000);
    CU_ASSERT_EQUAL(r, 0);
    CU_ASSERT_EQUAL(typed_talk(client, &stream, &error), 0);
    CU_ASSERT_EQUAL(typed_talk_send(stream, "one", &error), 0);
    CU_ASSERT_EQUAL(typed_talk_next(stream, &word, &error), 1);
    ferry_free(word);
    ferry_stream_close(stream);
    tear_down();
}

static void refused_items_leave_the_stream_unchanged(void) {
    ferry_error error = FERRY_ERROR_INIT;
    ferry_stream *stream = NULL;
    char *word = NULL;

    set_up();
    CU_ASSERT_EQUAL(typed_talk_send(NULL, "x", NULL), -EINVAL);
    CU_ASSERT_EQUAL(typed_talk(client, &stream, &error), 0);
    CU_ASSERT_EQUAL(typed_talk_send(stream, "\xff", &error), -EINVAL);
    CU_ASSERT_STRING_EQUAL(error.message, "item: the string is not UTF-8");
    ferry_error_clear(&error);
    CU_ASSERT_EQUAL(typed_talk_send(stream, "one", &error), 0);
    CU_ASSERT_EQUAL(typed_talk_next(stream, &word, &error), 1);
    ferry_free(word);
    ferry_stream_close(stream);
    tear_down();
}

static void a_wrong_item_fails_the_stream(void) {
    ferry_error error = FERRY_ERROR_INIT;
    ferry_stream *stream = NULL;
    ferry_bytes body;

    set_up();
    CU_ASSERT_EQUAL(ferry_stream_open(client, "typed.Typed.sum", ferry_bytes_of("\x90", 1),
                                      FERRY_SEND, &stream, &error),
                    0);
    CU_ASSERT_EQUAL(ferry_stream_send(stream, ferry_bytes_of("\xa1x", 2), &error), 0);
    CU_ASSERT_EQUAL(ferry_stream_result(stream, &body, &error), -EINVAL);
    CU_ASSERT_STRING_EQUAL(error.message, "item: expected i32, got str");
    ferry_error_clear(&error);
    ferry_stream_close(stream);
    tear_down();
}

static int bad_server(ferry_request *request, void *ctx) {
    (void)ctx;
    return ferry_request_return(request, ferry_bytes_of("\xa3"
                                                        "two",
                                                        4));
}

static int serve_badly(ferry_client *with, void *ctx) {
    return ferry_serve_method(with, "typed.Typed.add", NULL, bad_server, ctx, NULL, NULL);
}

static void a_server_that_breaks_its_interface_is_named(void) {
    ferry_error error = FERRY_ERROR_INIT;
    Answers answers = {0};
    int64_t number = 5;

    broker_spawn(&broker);
    runner_start(&runner, &broker, serve_badly, NULL);
    client = connect_client(&broker);
    CU_ASSERT_EQUAL(typed_add(client, 1, 1, &number, &error), -EPROTO);
    CU_ASSERT_STRING_EQUAL(
        error.message,
        "the server's answer does not match its interface: result: expected i64, got str");
    CU_ASSERT_EQUAL(number, 5);
    CU_ASSERT_EQUAL(typed_add_async(client, 1, 1, on_number, &answers, NULL), 0);
    CU_ASSERT_TRUE(process_until(client, &answers.n, 1));
    CU_ASSERT_EQUAL(answers.code, -EPROTO);
    ferry_error_clear(&error);
    tear_down();
}

static void tables_of_another_version_are_refused(void) {
    ferry_error error = FERRY_ERROR_INIT;
    ferry_service other = ferry_service_typed;

    set_up();
    other.schema_version++;
    CU_ASSERT_EQUAL(ferry_serve(client, &other, &handlers, NULL, NULL, NULL, &error), -EOPNOTSUPP);
    ferry_error_clear(&error);
    tear_down();
}

static void typed_values_fill_bodies_of_topics(void) {
    ferry_error error = FERRY_ERROR_INIT;
    typed_range *range = NULL;
    ferry_bytes body;

    CU_ASSERT_EQUAL(typed_range_pack(&(typed_range){1, 2, NULL}, &body, &error), 0);
    CU_ASSERT_EQUAL(typed_range_unpack(body, &range, &error), 0);
    CU_ASSERT_EQUAL(range->high, 2);
    CU_ASSERT_EQUAL(*range->step, 1);
    ferry_free(range);
    ferry_free(body.block);
    CU_ASSERT_EQUAL(typed_range_unpack(ferry_str("x"), &range, &error), -EINVAL);
    CU_ASSERT_STRING_EQUAL(error.message, "typed.Range: expected typed.Range, got int");
    ferry_error_clear(&error);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(results_of_every_kind_come_back),
        TEST(a_declared_exception_arrives_with_its_fields),
        TEST(errors_name_the_place),
        TEST(a_oneway_method_waits_for_nothing),
        TEST(oneway_calls_outlive_the_client_that_made_them),
        TEST(flush_reports_a_oneway_call_that_nobody_takes),
        TEST(callbacks_get_typed_results),
        TEST(an_answer_may_come_later),
        TEST(streams_carry_values_both_ways),
        TEST(a_closed_stream_frees_its_server),
        TEST(a_lost_broker_ends_streams_in_both_directions),
        TEST(refused_items_leave_the_stream_unchanged),
        TEST(a_wrong_item_fails_the_stream),
        TEST(a_server_that_breaks_its_interface_is_named),
        TEST(tables_of_another_version_are_refused),
        TEST(typed_values_fill_bodies_of_topics),
        TESTS_END,
    };

    return run_suite("client: typed calls", tests);
}
