/* SPDX-License-Identifier: Apache-2.0 */

/* Serves calc.Calc of calc.thrift at $FERRY_URL, as $FERRY_INSTANCE, until it is killed. */

#include <errno.h>
#include <ferry/cache.h>
#include <stdio.h>
#include <stdlib.h>

#include "calc.h"

static int add(ferry_request *request, int32_t a, int32_t b, void *ctx) {
    (void)ctx;
    return calc_add_return(request, (int64_t)a + b);
}

static int divide(ferry_request *request, int32_t a, int32_t b, void *ctx) {
    (void)ctx;
    if (b == 0)
        return calc_throw_division_by_zero(request, &(calc_division_by_zero){.dividend = a});
    return calc_div_return(request, (int64_t)a / b);
}

static int squares(ferry_request *request, const calc_range *range, void *ctx) {
    int32_t v[100], step = range->step ? *range->step : 1;
    size_t n = 0;

    (void)ctx;
    for (int32_t i = range->low; i <= range->high && n < 100; i += step)
        v[n++] = i * i;
    return calc_squares_return(request, &(ferry_list_i32){n, v});
}

static int widen(ferry_request *request, const calc_range *range, int32_t by, void *ctx) {
    (void)ctx;
    return calc_widen_return(request,
                             &(calc_range){range->low - by, range->high + by, range->step});
}

static int opposite(ferry_request *request, calc_rounding rounding, void *ctx) {
    (void)ctx;
    return calc_opposite_return(request, rounding == CALC_ROUNDING_UP ? CALC_ROUNDING_DOWN
                                                                      : CALC_ROUNDING_UP);
}

static int say(ferry_request *request, const char *text, const char *after, void *ctx) {
    char said[200];

    (void)ctx;
    snprintf(said, sizeof(said), "%s%s", text, after ? after : "");
    return calc_say_return(request, said);
}

static int nothing(ferry_request *request, void *ctx) {
    (void)ctx;
    return calc_nothing_return(request);
}

static int note(ferry_request *request, const char *text, void *ctx) {
    (void)request;
    (void)text;
    (void)ctx;
    return 0;
}

/* Never answered: the caller's deadline ends it. */
static int doze(ferry_request *request, void *ctx) {
    (void)ctx;
    return ferry_request_defer(request) ? 0 : -ENOMEM;
}

static int sum(ferry_request *request, void *ctx) {
    int64_t total = 0;
    int32_t number;
    int r;

    (void)ctx;
    while ((r = calc_sum_receive(request, &number)) > 0)
        total += number;
    return r < 0 ? r : calc_sum_return(request, total);
}

/* Fails at 1000, in mid-stream. */
static int count(ferry_request *request, int32_t from, int32_t to, void *ctx) {
    (void)ctx;
    for (int32_t i = from; i <= to; i++) {
        int r = i == 1000 ? calc_throw_division_by_zero(request, &(calc_division_by_zero){i})
                          : calc_count_yield(request, i);

        if (r < 0 || i == 1000)
            return r;
    }
    return calc_count_return(request);
}

/* Says nothing any more after a range that begins at 0. */
static int shift(ferry_request *request, int32_t by, void *ctx) {
    calc_range *range;
    int r;

    (void)ctx;
    while ((r = calc_shift_receive(request, &range)) > 0) {
        calc_range moved = {range->low + by, range->high + by, range->step};
        bool is_silent = range->low == 0;

        r = calc_shift_yield(request, &moved);
        ferry_free(range);
        if (is_silent)
            return ferry_request_defer(request) ? 0 : -ENOMEM;
        if (r < 0)
            return r;
    }
    return r < 0 ? r : calc_shift_return(request);
}

static const char *instance = "the-one";

static int who(ferry_request *request, void *ctx) {
    (void)ctx;
    return calc_who_return(request, instance);
}

static int random_number(ferry_request *request, void *ctx) {
    (void)ctx;
    return calc_random_return(request, (int32_t)random());
}

/* The cache that $CALC_CACHE names: from it the server answers `random`, a memoised method. */
static int open_cache(ferry_cache **ret, ferry_error *reterr) {
#ifdef WITH_CACHE
    const char *url = getenv("CALC_CACHE");

    if (url)
        return ferry_cache_open(url, NULL, ret, reterr);
#endif
    (void)ret, (void)reterr;
    return 0;
}

/* Writes the method and the trace of each request to the file that $CALC_TRACES names. */
static int note_trace(ferry_interception *call, void *ctx) {
    const char *trace = ferry_request_header(call->request, "traceparent");
    FILE *file = fopen(ctx, "a");

    if (!file)
        return -errno;
    fprintf(file, "%s %s\n", call->method, trace ? trace : "-");
    fclose(file);
    return 0;
}

int main(void) {
    const ferry_interceptor traces = {.before = note_trace, .ctx = getenv("CALC_TRACES")};
    ferry_cache *cache = NULL; /* it stays until the process ends */
    calc_handlers handlers = {
        .add = add,
        .div = divide,
        .squares = squares,
        .widen = widen,
        .opposite = opposite,
        .say = say,
        .nothing = nothing,
        .doze = doze,
        .note = note,
        .who = who,
        .sum = sum,
        .count = count,
        .shift = shift,
    };
    ferry_error error = FERRY_ERROR_INIT;
    ferry_client *client;
    int r = open_cache(&cache, &error);

    if (r == 0)
        r = ferry_open(NULL, &(ferry_options){.cache = cache}, &client, &error);
    if (cache)
        handlers.random = random_number;
    if (getenv("FERRY_INSTANCE"))
        instance = getenv("FERRY_INSTANCE");
    if (r == 0)
        r = calc_serve(client, &handlers,
                       &(ferry_serve_options){.slots = 8,
                                              .instance = instance,
                                              .interceptor = traces.ctx ? &traces : NULL},
                       NULL, NULL, &error);
    if (r == 0)
        r = ferry_run(client, &error);
    if (r < 0)
        ferry_error_print(&error, stderr);
    return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
