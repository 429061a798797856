/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Calls on generated code: a struct of ten fields in and out. For comparison, the same bytes in and
 * out untyped, and the time for only packing and unpacking the struct.
 */

#include <stdlib.h>

#include "bench/ferry.h"
#include "bench/order-value.h"
#include "order.h"

static const bench_order sample = {
    .id = ORDER_ID,
    .customer = ORDER_CUSTOMER,
    .paid = ORDER_PAID,
    .total = ORDER_TOTAL,
    .quantity = ORDER_QUANTITY,
    .currency = ORDER_CURRENCY,
    .items = {ORDER_N_ITEMS, order_items},
    .created_ms = ORDER_CREATED_MS,
    .note = ORDER_NOTE,
    .token = {order_token, ORDER_TOKEN_BYTES, NULL},
};

static bool is_ours(const bench_order *order) {
    return order->id == ORDER_ID && order->items.n == ORDER_N_ITEMS;
}

typedef struct Caller {
    ferry_client *client;
    ferry_bytes arguments; /* untyped: packed once */
    void (*call)(struct Caller *caller);
    LabMeter meter;
    bool is_done;
} Caller;

/* Each answer starts the next call, so that as many are in flight as at the start. */
static void answered(Caller *caller) {
    if (lab_meter_add(&caller->meter, 1)) {
        lab_meter_report(&caller->meter);
        caller->is_done = true;
        ferry_stop(caller->client);
        return;
    }
    caller->call(caller);
}

static void on_order(const bench_order *result, const ferry_error *error, void *ctx) {
    Caller *caller = ctx;

    if (caller->is_done)
        return;
    if (error)
        check(error->code, error);
    LAB_CHECK(is_ours(result));
    answered(caller);
}

static void call_typed(Caller *caller) {
    check(bench_orders_echo_async(caller->client, &sample, on_order, caller, NULL), NULL);
}

static void on_reply(const ferry_reply *reply, const ferry_error *error, void *ctx) {
    Caller *caller = ctx;

    if (caller->is_done)
        return;
    if (!reply)
        check(error->code, error);
    answered(caller);
}

static void call_untyped(Caller *caller) {
    check(ferry_call_async(caller->client, "bench.Orders.echo", caller->arguments, on_reply, caller,
                           NULL),
          NULL);
}

static int echo_typed(ferry_request *request, const bench_order *order, void *ctx) {
    (void)ctx;
    return bench_orders_echo_return(request, order);
}

static int echo_untyped(ferry_request *request, void *ctx) {
    (void)ctx;
    return ferry_request_return(request, request->body);
}

static void start_server(const LabArgs *args, bool typed) {
    static const bench_orders_handlers handlers = {.echo = echo_typed};
    ferry_serve_options options = {.slots = args->window};
    ferry_error error = FERRY_ERROR_INIT;
    ferry_client *client;

    if (lab_fork() > 0) {
        lab_wait_ready(1);
        return;
    }
    client = open_client(args);
    if (typed)
        check(bench_orders_serve(client, &handlers, &options, NULL, NULL, &error), &error);
    else
        check(ferry_serve_method(client, "bench.Orders.echo", &options, echo_untyped, NULL, NULL,
                                 &error),
              &error);
    run_for_ever(client);
}

static void measure(const LabArgs *args, Caller *caller) {
    ferry_error error = FERRY_ERROR_INIT;

    caller->client = open_client(args);
    lab_meter_start(&caller->meter, args);
    ferry_cork(caller->client);
    for (unsigned i = 0; i < args->window; i++)
        caller->call(caller);
    check(ferry_uncork(caller->client, &error), &error);
    check(ferry_run(caller->client, &error), &error);
    ferry_close(caller->client);
}

void typed_calls(const LabArgs *args) {
    Caller caller = {.call = call_typed};

    start_server(args, true);
    measure(args, &caller);
}

void untyped_calls(const LabArgs *args) {
    Caller caller = {.call = call_untyped};
    ferry_error error = FERRY_ERROR_INIT;

    start_server(args, false);
    check(bench_order_pack(&sample, &caller.arguments, &error), &error);
    measure(args, &caller);
    ferry_free(caller.arguments.block);
}

void codec_tables(const LabArgs *args) {
    ferry_error error = FERRY_ERROR_INIT;
    LabMeter meter;

    lab_meter_start(&meter, args);
    do {
        ferry_bytes bytes;
        bench_order *back;

        check(bench_order_pack(&sample, &bytes, &error), &error);
        check(bench_order_unpack(bytes, &back, &error), &error);
        LAB_CHECK(is_ours(back));
        ferry_free(back);
        ferry_free(bytes.block);
    } while (!lab_meter_add(&meter, 1));
    lab_meter_report(&meter);
}
