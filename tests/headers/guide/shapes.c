/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The declarations that the guide shows for calc.thrift, repeated: one that differs from the
 * generated code does not compile. And the pieces of programs that the guide shows, about handles
 * and streams.
 */

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "calc.h"

/* ---- types: the members, in this order, of these types ---- */

static_assert(sizeof(calc_division_by_zero) == sizeof(int32_t), "one number");
static_assert(sizeof(calc_range) == 2 * sizeof(int32_t) + sizeof(void *), "two, and a pointer");

const calc_division_by_zero divisor = CALC_DIVISION_BY_ZERO_INIT;
const calc_range whole = CALC_RANGE_INIT;
const calc_range stepped = {.low = 1, .high = 10, .step = &(const int32_t){3}};

/* ---- callers ---- */

int calc_add(ferry_client *client, int32_t a, int32_t b, int64_t *ret, ferry_error *reterr);
int calc_div(ferry_client *client, int32_t a, int32_t b, int64_t *ret, ferry_error *reterr);
int calc_squares(ferry_client *client, const calc_range *range, ferry_list_i32 **ret,
                 ferry_error *reterr);
int calc_primes(ferry_client *client, int32_t below, ferry_stream **ret, ferry_error *reterr);
int calc_primes_next(ferry_stream *stream, int32_t *ret, ferry_error *reterr);

typedef void (*calc_add_fn)(int64_t result, const ferry_error *error, void *ctx);
typedef void (*calc_div_fn)(int64_t result, const ferry_error *error, void *ctx);
typedef void (*calc_squares_fn)(const ferry_list_i32 *result, const ferry_error *error, void *ctx);
int calc_add_async(ferry_client *client, int32_t a, int32_t b, calc_add_fn fn, void *ctx,
                   ferry_error *reterr);
int calc_div_async(ferry_client *client, int32_t a, int32_t b, calc_div_fn fn, void *ctx,
                   ferry_error *reterr);
int calc_squares_async(ferry_client *client, const calc_range *range, calc_squares_fn fn, void *ctx,
                       ferry_error *reterr);

const calc_division_by_zero *calc_division_by_zero_in(const ferry_error *error);

/* ---- servers ---- */

int calc_serve(ferry_client *client, const calc_handlers *handlers,
               const ferry_serve_options *options, void *ctx, ferry_registration **ret,
               ferry_error *reterr);

int calc_add_return(ferry_request *request, int64_t result);
int calc_div_return(ferry_request *request, int64_t result);
int calc_squares_return(ferry_request *request, const ferry_list_i32 *result);
int calc_primes_yield(ferry_request *request, int32_t item);
int calc_primes_return(ferry_request *request);
int calc_throw_division_by_zero_at(const char *file, int line, const char *func,
                                   ferry_request *request, const calc_division_by_zero *value);

/* ---- bodies for topics, queues and caches ---- */

int calc_range_pack(const calc_range *value, ferry_bytes *ret, ferry_error *reterr);
int calc_range_unpack(ferry_bytes bytes, calc_range **ret, ferry_error *reterr);

/* ---- handlers ---- */

static int add(ferry_request *request, int32_t a, int32_t b, void *ctx) {
    (void)ctx;
    if (a > 1000)
        return ferry_request_throw(request, "calc.TooBig", NULL, "%d is too big", a);
    return calc_add_return(request, (int64_t)a + b);
}

/* Same deadline, same trace headers, cancelled with it; the cause chains. */
static int divide(ferry_request *request, int32_t a, int32_t b, void *ctx) {
    FERRY_AUTO(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    int64_t sum;
    int r;

    (void)ctx;
    if (b == 0)
        return calc_throw_division_by_zero(request, &(calc_division_by_zero){.dividend = a});
    r = calc_add(ferry_request_client(request), a, b, &sum, &error);
    if (r < 0)
        return ferry_request_fail(request, r, &error);
    return calc_div_return(request, sum / b);
}

static int squares(ferry_request *request, const calc_range *range, void *ctx) {
    (void)ctx;
    (void)range;
    return calc_squares_return(request, &(ferry_list_i32){3, (int32_t[]){1, 4, 9}});
}

static int primes(ferry_request *request, int32_t below, void *ctx) {
    int r;

    (void)ctx;
    for (int32_t p = 2; p < below; p++)
        if ((r = calc_primes_yield(request, p)) < 0) /* waits for credit; -ECANCELED */
            return r;
    return calc_primes_return(request);
}

const calc_handlers handlers_of_all = {add, divide, squares, primes};

/* ---- answering later ---- */

typedef struct Later {
    ferry_request *request;
    int64_t result;
} Later;

void computed(void *ctx);
int begin(ferry_request *request, ferry_client *client);

void computed(void *ctx) {
    Later *l = ctx;

    calc_div_return(l->request, l->result);
    free(l);
}

int begin(ferry_request *request, ferry_client *client) {
    Later *l = calloc(1, sizeof(*l));

    if (!l)
        return -ENOMEM;
    l->request = ferry_request_defer(request);
    return ferry_post(client, computed, l);
}

/* ---- handles and streams ---- */

static void on_quotient(int64_t quotient, const ferry_error *error, void *ctx) {
    (void)ctx;
    if (!error)
        printf("%" PRId64 "\n", quotient);
}

int handles(ferry_client *client);
int handles(ferry_client *client) {
    FERRY_AUTO(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    ferry_client *quick, *per_request;
    ferry_stream *stream;
    int32_t prime;
    int64_t sum;
    int r;

    /* at most 50 ms each */
    if (ferry_with(client, &(ferry_options){.timeout_ms = 50}, &quick, &error) < 0)
        return -1;
    calc_add(quick, 1, 2, &sum, &error);
    ferry_close(quick);

    /* cancel everything that was started through a handle: close it */
    if (ferry_with(client, NULL, &per_request, &error) < 0)
        return -1;
    calc_div_async(per_request, 9, 3, on_quotient, NULL, &error);
    ferry_close(per_request); /* on_quotient: -ECANCELED, the server is told */

    if (calc_primes(client, 1000, &stream, &error) < 0)
        return -1;
    while ((r = calc_primes_next(stream, &prime, &error)) > 0)
        printf("%" PRId32 "\n", prime);
    ferry_stream_close(stream); /* cancels what has not ended */
    return r;
}
