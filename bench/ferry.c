/* SPDX-License-Identifier: Apache-2.0 */

/*
 * ferry itself, through its public headers, in the same rows as its peers. Payloads are one
 * MessagePack value, so ferry's messages are a few bytes longer.
 */

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/ferry.h"

enum {
    PUBLISHES = 2048, /* in one turn */
    PUSHES = 512,     /* likewise */
    MAX_UNCONFIRMED = 4096,
    BESIDE_WINDOW = 16, /* pushes in flight beside calls */
};

static const char *const echo_method = "bench.Echo.echo";
static const char *const topic = "bench.topic";
static const char *const queue = "bench.jobs";

/* The endpoint of servers that take direct calls; empty: calls go through the broker. */
static char direct_endpoint[64];

void check(int r, const ferry_error *error) {
    if (r < 0)
        lab_die("ferry: %s: %s", error && error->type ? error->type : strerror(-r),
                error && error->type ? error->message : "no further detail");
}

ferry_client *open_client(const LabArgs *args) {
    ferry_client *client = NULL;
    ferry_error error = FERRY_ERROR_INIT;
    char url[64];

    snprintf(url, sizeof(url), "tcp://127.0.0.1:%d", args->port);
    check(ferry_open(url, &(ferry_options){.direct = *direct_endpoint}, &client, &error), &error);
    check(ferry_ping(client, NULL, &error), &error);
    return client;
}

_Noreturn void run_for_ever(ferry_client *client) {
    ferry_error error = FERRY_ERROR_INIT;

    lab_ready();
    check(ferry_run(client, &error), &error);
    lab_die("ferry_run() ended");
}

/* Packs the list of arguments [bin], for a method with one binary argument. */
static ferry_bytes pack_arguments(const LabArgs *args) {
    unsigned char *packed = ferry_alloc(args->size + 6);
    size_t n = 0;

    LAB_CHECK(packed);
    packed[n++] = 0x91;
    packed[n++] = args->size < 256 ? 0xc4 : args->size < 65536 ? 0xc5 : 0xc6;
    for (int shift = args->size < 256 ? 0 : args->size < 65536 ? 8 : 24; shift >= 0; shift -= 8)
        packed[n++] = (unsigned char)(args->size >> shift);
    memcpy(packed + n, args->payload, args->size);
    return ferry_shared(packed, n + args->size);
}

/* ---- calls ---- */

static int echo(ferry_request *request, void *ctx) {
    (void)ctx;
    return ferry_request_return(request, request->body);
}

static void start_servers(const LabArgs *args) {
    for (unsigned i = 0; i < args->n_ends; i++) {
        if (lab_fork() == 0) {
            ferry_serve_options options = {.slots = args->window,
                                           .listen = *direct_endpoint ? direct_endpoint : NULL};
            ferry_client *client = open_client(args);
            ferry_error error = FERRY_ERROR_INIT;

            check(ferry_serve_method(client, echo_method, &options, echo, NULL, NULL, &error),
                  &error);
            run_for_ever(client);
        }
    }
    lab_wait_ready(args->n_ends);
}

typedef struct Caller {
    ferry_client *client;
    ferry_bytes arguments;
    LabMeter meter;
    bool is_done;
} Caller;

/* Each answer starts the next call, so that as many are in flight as at the start. */
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
    check(ferry_call_async(caller->client, echo_method, caller->arguments, on_reply, caller, NULL),
          NULL);
}

static void calls_async(const LabArgs *args) {
    Caller caller = {.is_done = false};
    ferry_error error = FERRY_ERROR_INIT;

    start_servers(args);
    caller.client = open_client(args);
    caller.arguments = pack_arguments(args);
    lab_meter_start(&caller.meter, args);

    ferry_cork(caller.client);
    for (unsigned i = 0; i < args->window; i++)
        check(
            ferry_call_async(caller.client, echo_method, caller.arguments, on_reply, &caller, NULL),
            NULL);
    check(ferry_uncork(caller.client, &error), &error);
    check(ferry_run(caller.client, &error), &error);
    ferry_close(caller.client);
    ferry_free(caller.arguments.block);
}

static int call(void *ctx) {
    Caller *caller = ctx;
    ferry_error error = FERRY_ERROR_INIT;
    ferry_reply *reply = NULL;
    int r = ferry_call(caller->client, echo_method, caller->arguments, &reply, &error);

    check(r, &error);
    ferry_free(reply);
    return 0;
}

static void *new_caller(const LabArgs *args) {
    Caller *caller = calloc(1, sizeof(*caller));

    LAB_CHECK(caller);
    caller->client = open_client(args);
    caller->arguments = pack_arguments(args);
    return caller;
}

static void callers_sync(const LabArgs *args) {
    LabArgs one_server = *args;

    one_server.n_ends = 1;
    start_servers(&one_server);
    lab_measure_callers(args, new_caller, call);
}

static void latency_sync(const LabArgs *args) {
    Caller caller = {.is_done = false};

    start_servers(args);
    caller.client = open_client(args);
    caller.arguments = pack_arguments(args);
    lab_measure_latency(args, call, &caller);
    ferry_close(caller.client);
    ferry_free(caller.arguments.block);
}

/* ---- direct calls: the connection to the server is up before the warm-up ends ---- */

static void calls_direct(const LabArgs *args) {
    strcpy(direct_endpoint, "tcp://127.0.0.1:*");
    calls_async(args);
}

static void latency_direct(const LabArgs *args) {
    strcpy(direct_endpoint, "tcp://127.0.0.1:*");
    latency_sync(args);
}

static void latency_direct_unix(const LabArgs *args) {
    snprintf(direct_endpoint, sizeof(direct_endpoint), "ipc:///tmp/bench-ferry-%d.sock", getpid());
    latency_sync(args);
    unlink(direct_endpoint + strlen("ipc://"));
}

/* ---- topics ---- */

static void count_message(const ferry_message *message, void *ctx) {
    if (message->missed > 0)
        lab_die("a subscriber missed %llu messages", (unsigned long long)message->missed);
    lab_consumed(*(unsigned *)ctx, 1);
}

static _Noreturn void subscribe(const LabArgs *args, unsigned end) {
    ferry_client *client = open_client(args);
    ferry_error error = FERRY_ERROR_INIT;

    check(ferry_subscribe(client, topic, NULL, count_message, &end, NULL, &error), &error);
    run_for_ever(client);
}

/* One turn in loop mode: messages since the last turn are sent together. wait_ms: the longest wait
 * for input. */
static void turn(ferry_client *client, int wait_ms) {
    ferry_error error = FERRY_ERROR_INIT;

    check(ferry_process(client, &error), &error);
    if (wait_ms != 0)
        poll(&(struct pollfd){.fd = ferry_fd(client), .events = POLLIN}, 1, wait_ms);
}

/* lab_pace() in loop mode: messages that wait for credit are sent meanwhile. */
static void pace(ferry_client *client, LabFlow flow, const LabArgs *args, uint64_t sent) {
    while (!lab_may_send(flow, args, sent))
        turn(client, 1);
}

static _Noreturn void publish(const LabArgs *args) {
    ferry_client *client = open_client(args);
    ferry_bytes body = ferry_bytes_of(args->payload, args->size);
    ferry_error error = FERRY_ERROR_INIT;
    uint64_t n = 0;

    ferry_fd(client);
    for (;;) {
        int r = 0;

        pace(client, LAB_FANOUT, args, n);
        for (int i = 0; i < PUBLISHES && r == 0; i++) {
            r = ferry_publish(client, topic, body, NULL, &error);
            n += r == 0;
        }
        if (r != -EAGAIN)
            check(r, &error);
        turn(client, r == -EAGAIN ? 1 : 0);
    }
}

static void pubsub(const LabArgs *args) {
    for (unsigned i = 0; i < args->n_ends; i++)
        if (lab_fork() == 0)
            subscribe(args, i);
    lab_wait_ready(args->n_ends);
    if (lab_fork() == 0)
        publish(args);
    lab_measure_consumed(args);
}

/* ---- queues ---- */

static int count_job(ferry_job *job, void *ctx) {
    (void)job;
    lab_consumed(*(unsigned *)ctx, 1);
    return 0;
}

static _Noreturn void work(const LabArgs *args, unsigned end) {
    ferry_work_options options = {.slots = args->window};
    ferry_client *client = open_client(args);
    ferry_error error = FERRY_ERROR_INIT;

    check(ferry_work(client, queue, &options, count_job, &end, NULL, &error), &error);
    run_for_ever(client);
}

static void on_stored(const ferry_error *error, void *ctx) {
    if (error)
        check(error->code, error);
    (*(unsigned *)ctx)--;
}

/* Waits for confirmations while too many are missing, and for the workers when too far ahead. */
static _Noreturn void produce(const LabArgs *args) {
    ferry_client *client = open_client(args);
    ferry_bytes body = ferry_bytes_of(args->payload, args->size);
    unsigned n_unconfirmed = 0;
    uint64_t n = 0;

    ferry_fd(client);
    for (;;) {
        pace(client, LAB_SHARED, args, n);
        for (int i = 0; i < PUSHES && n_unconfirmed < MAX_UNCONFIRMED; i++, n++, n_unconfirmed++)
            check(ferry_push_async(client, queue, body, NULL, on_stored, &n_unconfirmed, NULL),
                  NULL);
        turn(client, n_unconfirmed < MAX_UNCONFIRMED ? 0 : -1);
    }
}

static void queue_memory(const LabArgs *args) {
    for (unsigned i = 0; i < args->n_ends; i++)
        if (lab_fork() == 0)
            work(args, i);
    lab_wait_ready(args->n_ends);
    if (lab_fork() == 0)
        produce(args);
    lab_measure_consumed(args);
}

/* ---- queues on disk ---- */

typedef struct Pusher {
    ferry_client *client;
    ferry_bytes body;
    unsigned n_unconfirmed;
} Pusher;

static Pusher open_pusher(const LabArgs *args) {
    Pusher pusher = {open_client(args), ferry_bytes_of(args->payload, args->size), 0};

    ferry_fd(pusher.client);
    return pusher;
}

/* One turn with up to `window` pushes in flight. Returns the number of confirmed pushes. */
static unsigned push_turn(Pusher *pusher, unsigned window) {
    for (; pusher->n_unconfirmed < window; pusher->n_unconfirmed++)
        check(ferry_push_async(pusher->client, queue, pusher->body, NULL, on_stored,
                               &pusher->n_unconfirmed, NULL),
              NULL);
    turn(pusher->client, -1);
    return window - pusher->n_unconfirmed;
}

/* Confirmed pushes, with --window in flight; no worker takes them. */
static void push_async(const LabArgs *args) {
    Pusher pusher = open_pusher(args);
    LabMeter meter;

    lab_meter_start(&meter, args);
    while (!lab_meter_add(&meter, push_turn(&pusher, args->window)))
        continue;
    lab_meter_report(&meter);
}

/* Calls while the store flushes all the time: each flush is followed by the next one. */
static void latency_busy(const LabArgs *args) {
    if (lab_fork() == 0) {
        Pusher pusher = open_pusher(args);

        for (;;)
            push_turn(&pusher, BESIDE_WINDOW);
    }
    latency_sync(args);
}

typedef struct OnePush {
    ferry_client *client;
    ferry_bytes body;
} OnePush;

static int push_one(void *ctx) {
    const OnePush *one = ctx;

    return ferry_push(one->client, queue, one->body, NULL, NULL);
}

static void push_sync(const LabArgs *args) {
    OnePush one = {open_client(args), ferry_bytes_of(args->payload, args->size)};

    lab_measure_latency(args, push_one, &one);
}

/* ---- memory ---- */

static void connect_idle(const LabArgs *args) {
    open_client(args);
}

static void memory_idle(const LabArgs *args) {
    lab_measure_memory(args, args->pid, connect_idle);
}

int main(int argc, char **argv) {
    static const LabRow rows[] = {
        {"calls", "async", calls_async},
        {"latency", "sync", latency_sync},
        {"callers", "sync", callers_sync},
        {"pubsub", "loop", pubsub},
        {"queue", "memory", queue_memory},
        {"memory", "idle", memory_idle},
        {"typed", "typed", typed_calls},
        {"typed", "untyped", untyped_calls},
        {"codec", "tables", codec_tables},
        {"streams", "echo", streams_echo},
        {"durable", "disk", queue_memory},
        {"stored", "async", push_async},
        {"flush", "sync", push_sync},
        {"beside", "quiet", latency_sync},
        {"beside", "busy", latency_busy},
        {"calls", "direct", calls_direct},
        {"latency", "direct", latency_direct},
        {"latency", "direct-unix", latency_direct_unix},
        {0},
    };

    return lab_main(argc, argv, rows);
}
