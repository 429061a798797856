/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Calls that go straight to a server, with bytes in and out. The first calls, before the connection
 * to the server is up, go through the broker; all of them lie in the warm-up.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/ferry.h"

static const char *const method = "bench.Direct.echo";

static int echo(ferry_request *request, void *ctx) {
    (void)ctx;
    return ferry_request_return(request, request->body);
}

static _Noreturn void serve(const LabArgs *args, const char *listen) {
    ferry_serve_options options = {.slots = args->window, .listen = listen};
    ferry_client *client = open_client(args);
    ferry_error error = FERRY_ERROR_INIT;

    check(ferry_serve_method(client, method, &options, echo, NULL, NULL, &error), &error);
    run_for_ever(client);
}

typedef struct Caller {
    ferry_client *client, *direct;
    ferry_bytes arguments; /* one binary value */
    LabMeter meter;
    bool is_done;
} Caller;

static void start(Caller *caller, const LabArgs *args, const char *listen) {
    ferry_error error = FERRY_ERROR_INIT;
    unsigned char *packed = ferry_alloc(args->size + 3);

    LAB_CHECK(packed && args->size < 256);
    packed[0] = 0x91;
    packed[1] = 0xc4;
    packed[2] = (unsigned char)args->size;
    memcpy(packed + 3, args->payload, args->size);
    if (lab_fork() == 0)
        serve(args, listen);
    lab_wait_ready(1);
    *caller =
        (Caller){.client = open_client(args), .arguments = ferry_shared(packed, args->size + 3)};
    check(ferry_with(caller->client, &(ferry_options){.direct = true}, &caller->direct, &error),
          &error);
}

static void end(Caller *caller) {
    ferry_close(caller->direct);
    ferry_close(caller->client);
    ferry_free(caller->arguments.block);
}

static void on_reply(const ferry_reply *reply, const ferry_error *error, void *ctx) {
    Caller *caller = ctx;

    if (caller->is_done)
        return;
    if (!reply)
        check(error->code, error);
    if (lab_meter_add(&caller->meter, 1)) {
        lab_meter_report(&caller->meter);
        caller->is_done = true;
        ferry_stop(caller->client);
        return;
    }
    check(ferry_call_async(caller->direct, method, caller->arguments, on_reply, caller, NULL),
          NULL);
}

void direct_calls(const LabArgs *args) {
    ferry_error error = FERRY_ERROR_INIT;
    Caller caller;

    start(&caller, args, "tcp://127.0.0.1:*");
    lab_meter_start(&caller.meter, args);
    ferry_cork(caller.client);
    for (unsigned i = 0; i < args->window; i++)
        check(ferry_call_async(caller.direct, method, caller.arguments, on_reply, &caller, NULL),
              NULL);
    check(ferry_uncork(caller.client, &error), &error);
    check(ferry_run(caller.client, &error), &error);
    end(&caller);
}

static int call(void *ctx) {
    Caller *caller = ctx;
    ferry_error error = FERRY_ERROR_INIT;
    ferry_reply *reply = NULL;

    check(ferry_call(caller->direct, method, caller->arguments, &reply, &error), &error);
    ferry_free(reply);
    return 0;
}

static void latency(const LabArgs *args, const char *listen) {
    Caller caller;

    start(&caller, args, listen);
    lab_measure_latency(args, call, &caller);
    end(&caller);
}

void direct_latency(const LabArgs *args) {
    latency(args, "tcp://127.0.0.1:*");
}

void direct_latency_unix(const LabArgs *args) {
    char listen[64];

    snprintf(listen, sizeof(listen), "ipc:///tmp/ferry-bench-%d.sock", getpid());
    latency(args, listen);
}
