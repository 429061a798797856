/* SPDX-License-Identifier: Apache-2.0 */
#include "typed-scene.h"

#include "support/suite.h"

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
    Server *of = ctx;

    (void)request;
    of->notes++;
    snprintf(of->note, sizeof(of->note), "%s", text);
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

const typed_handlers server_handlers = {
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

static int serve(ferry_client *with, void *ctx) {
    serving = with;
    return typed_serve(with, &server_handlers, &(ferry_serve_options){.slots = 8}, ctx, NULL, NULL);
}

TestBroker broker;
Runner runner;
Server server;
ferry_client *client;

void set_up(void) {
    server = (Server){0};
    broker_spawn(&broker);
    runner_start(&runner, &broker, serve, &server);
    client = connect_client(&broker);
}

void tear_down(void) {
    client = ferry_close(client);
    runner_stop(&runner);
    broker_terminate(&broker);
}
