/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libzmq by itself: DEALER to ROUTER (what a broker built on it cannot beat), through zmq_proxy(),
 * and publishing through an XSUB/XPUB proxy. Nothing is dropped: the calls have no high-water mark
 * and a bounded window, the topics block at theirs, which is --window (ZMQ_XPUB_NODROP).
 */

#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zmq.h>

#include "bench/lab.h"

static const char *const any_port = "tcp://127.0.0.1:*";
static int high_water_mark; /* messages; 0: no mark */

static void *new_socket(void *context, int type) {
    void *socket = zmq_socket(context, type);
    LAB_CHECK(socket);
    LAB_CHECK(zmq_setsockopt(socket, ZMQ_LINGER, &(int){0}, sizeof(int)) == 0);

    /* Before bind and connect: a listener copies its options when it is made. */
    LAB_CHECK(zmq_setsockopt(socket, ZMQ_SNDHWM, &high_water_mark, sizeof(int)) == 0);
    LAB_CHECK(zmq_setsockopt(socket, ZMQ_RCVHWM, &high_water_mark, sizeof(int)) == 0);
    if (type == ZMQ_XPUB || type == ZMQ_PUB)
        LAB_CHECK(zmq_setsockopt(socket, ZMQ_XPUB_NODROP, &(int){1}, sizeof(int)) == 0);
    return socket;
}

static void *bound_socket(void *context, int type, int endpoint) {
    void *socket = new_socket(context, type);
    size_t len = 64;

    LAB_CHECK(zmq_bind(socket, any_port) == 0);
    LAB_CHECK(zmq_getsockopt(socket, ZMQ_LAST_ENDPOINT, lab_endpoint(endpoint), &len) == 0);
    return socket;
}

static void *connected_socket(void *context, int type, int endpoint) {
    void *socket = new_socket(context, type);

    LAB_CHECK(zmq_connect(socket, lab_endpoint(endpoint)) == 0);
    return socket;
}

static _Noreturn void proxy(int front_type, int back_type) {
    void *context = zmq_ctx_new();
    void *front = bound_socket(context, front_type, LAB_FRONT);
    void *back = bound_socket(context, back_type, LAB_BACK);

    lab_ready();
    zmq_proxy(front, back, NULL);
    lab_die("zmq_proxy");
}

/* Sends back every message part by part, routing parts included. */
static _Noreturn void echo(void *socket) {
    zmq_msg_t part;

    zmq_msg_init(&part);
    lab_ready();
    for (;;) {
        LAB_CHECK(zmq_msg_recv(&part, socket, 0) >= 0);
        LAB_CHECK(zmq_msg_send(&part, socket, zmq_msg_more(&part) ? ZMQ_SNDMORE : 0) >= 0);
    }
}

/* ---- calls ---- */

static void *start_direct(const LabArgs *args) {
    (void)args;
    if (lab_fork() == 0)
        echo(bound_socket(zmq_ctx_new(), ZMQ_ROUTER, LAB_FRONT));
    lab_wait_ready(1);
    return connected_socket(zmq_ctx_new(), ZMQ_DEALER, LAB_FRONT);
}

static void *start_proxied(const LabArgs *args) {
    if (lab_fork() == 0)
        proxy(ZMQ_ROUTER, ZMQ_DEALER);
    lab_wait_ready(1);
    for (unsigned i = 0; i < args->n_ends; i++)
        if (lab_fork() == 0)
            echo(connected_socket(zmq_ctx_new(), ZMQ_DEALER, LAB_BACK));
    lab_wait_ready(1 + args->n_ends);
    lab_sleep_us(
        200000); /* connected is not yet handshaken, and a worker late would get no share */
    return connected_socket(zmq_ctx_new(), ZMQ_DEALER, LAB_FRONT);
}

static unsigned receive_some(void *socket, zmq_msg_t *message, unsigned at_most) {
    unsigned n = 1;

    LAB_CHECK(zmq_msg_recv(message, socket, 0) >= 0);
    while (n < at_most && zmq_msg_recv(message, socket, ZMQ_DONTWAIT) >= 0)
        n++;
    return n;
}

static void measure_calls(const LabArgs *args, void *socket) {
    unsigned n = args->window;
    zmq_msg_t reply;
    LabMeter meter;

    zmq_msg_init(&reply);
    lab_meter_start(&meter, args);
    do {
        for (unsigned i = 0; i < n; i++)
            LAB_CHECK(zmq_send(socket, args->payload, args->size, 0) >= 0);
        n = receive_some(socket, &reply, args->window);
    } while (!lab_meter_add(&meter, n));
    lab_meter_report(&meter);
}

typedef struct Caller {
    const LabArgs *args;
    void *socket;
    zmq_msg_t reply;
} Caller;

static int call(void *ctx) {
    Caller *caller = ctx;

    return zmq_send(caller->socket, caller->args->payload, caller->args->size, 0) < 0 ||
           zmq_msg_recv(&caller->reply, caller->socket, 0) < 0;
}

static void *new_caller(const LabArgs *args) {
    Caller *caller = calloc(1, sizeof(*caller));

    LAB_CHECK(caller);
    caller->args = args;
    caller->socket = connected_socket(zmq_ctx_new(), ZMQ_DEALER, LAB_FRONT);
    zmq_msg_init(&caller->reply);
    return caller;
}

/* The proxy and its only worker are ready before the callers connect. */
static void callers_proxy(const LabArgs *args) {
    if (lab_fork() == 0)
        proxy(ZMQ_ROUTER, ZMQ_DEALER);
    lab_wait_ready(1);
    if (lab_fork() == 0)
        echo(connected_socket(zmq_ctx_new(), ZMQ_DEALER, LAB_BACK));
    lab_wait_ready(2);
    lab_measure_callers(args, new_caller, call);
}

static void measure_latency(const LabArgs *args, void *socket) {
    Caller caller = {.args = args, .socket = socket};

    zmq_msg_init(&caller.reply);
    lab_measure_latency(args, call, &caller);
}

static void calls_direct(const LabArgs *args) {
    measure_calls(args, start_direct(args));
}

static void calls_proxy(const LabArgs *args) {
    measure_calls(args, start_proxied(args));
}

static void latency_direct(const LabArgs *args) {
    measure_latency(args, start_direct(args));
}

static void latency_proxy(const LabArgs *args) {
    measure_latency(args, start_proxied(args));
}

/* ---- streams ---- */

/* Sends one message again and again, without copies, until the bytes of the row are sent. At most
 * --window messages are in flight, because libzmq itself does not limit the memory. */
static void measure_stream(const LabArgs *args, void *socket) {
    zmq_msg_t item, message;
    unsigned n_ahead = 0;
    LabStream stream;

    LAB_CHECK(zmq_msg_init_size(&item, args->size) == 0);
    memcpy(zmq_msg_data(&item), args->payload, args->size);
    zmq_msg_init(&message);
    lab_stream_start(&stream);
    while (!lab_stream_is_over(&stream)) {
        while (n_ahead < args->window && lab_stream_left(&stream) > 0) {
            LAB_CHECK(zmq_msg_copy(&message, &item) == 0);
            LAB_CHECK(zmq_msg_send(&message, socket, 0) >= 0);
            lab_stream_sent(&stream, args->size);
            n_ahead++;
        }
        LAB_CHECK(zmq_msg_recv(&message, socket, 0) >= 0);
        lab_stream_back(&stream, zmq_msg_size(&message));
        n_ahead--;
    }
    lab_stream_report(&stream, args);
}

static void streams_direct(const LabArgs *args) {
    measure_stream(args, start_direct(args));
}

static void streams_proxy(const LabArgs *args) {
    measure_stream(args, start_proxied(args));
}

/* ---- topics ---- */

static _Noreturn void subscribe(unsigned end) {
    void *socket = connected_socket(zmq_ctx_new(), ZMQ_SUB, LAB_BACK);
    zmq_msg_t message;

    LAB_CHECK(zmq_setsockopt(socket, ZMQ_SUBSCRIBE, "", 0) == 0);
    zmq_msg_init(&message);
    lab_ready();
    for (;;) {
        LAB_CHECK(zmq_msg_recv(&message, socket, 0) >= 0);
        lab_consumed(end, 1);
    }
}

static _Noreturn void publish(const LabArgs *args) {
    void *socket = connected_socket(zmq_ctx_new(), ZMQ_PUB, LAB_FRONT);

    lab_sleep_us(500000); /* subscriptions travel: libzmq does not say when they have arrived */
    for (;;)
        LAB_CHECK(zmq_send(socket, args->payload, args->size, 0) >= 0);
}

static void pubsub_proxy(const LabArgs *args) {
    high_water_mark = (int)args->window;
    if (lab_fork() == 0)
        proxy(ZMQ_XSUB, ZMQ_XPUB);
    lab_wait_ready(1);
    for (unsigned i = 0; i < args->n_ends; i++)
        if (lab_fork() == 0)
            subscribe(i);
    lab_wait_ready(1 + args->n_ends);
    if (lab_fork() == 0)
        publish(args);
    lab_measure_consumed(args);
}

/* ---- memory ---- */

static void *dealers; /* the context that they share */

static _Noreturn void count_peers(void) {
    void *socket = bound_socket(zmq_ctx_new(), ZMQ_ROUTER, LAB_FRONT);
    char frame[64];

    lab_ready();
    for (;;) {
        LAB_CHECK(zmq_recv(socket, frame, sizeof(frame), 0) >= 0);
        LAB_CHECK(zmq_recv(socket, frame, sizeof(frame), 0) >= 0);
        lab_ready();
    }
}

/* Connected for certain: its message has arrived. */
static void connect_idle(const LabArgs *args) {
    static unsigned n_ready = 1;
    void *socket = connected_socket(dealers, ZMQ_DEALER, LAB_FRONT);

    LAB_CHECK(zmq_send(socket, args->payload, 1, 0) == 1);
    lab_wait_ready(++n_ready);
}

static void memory_router(const LabArgs *args) {
    pid_t server = lab_fork();

    if (server == 0)
        count_peers();
    lab_wait_ready(1);
    dealers = zmq_ctx_new();
    LAB_CHECK(zmq_ctx_set(dealers, ZMQ_MAX_SOCKETS, (int)args->window + 64) == 0);
    lab_measure_memory(args, server, connect_idle);
}

int main(int argc, char **argv) {
    static const LabRow rows[] = {
        {"calls", "direct", calls_direct},     {"calls", "proxy", calls_proxy},
        {"latency", "direct", latency_direct}, {"latency", "proxy", latency_proxy},
        {"callers", "proxy", callers_proxy},   {"streams", "direct", streams_direct},
        {"streams", "proxy", streams_proxy},   {"pubsub", "proxy", pubsub_proxy},
        {"memory", "router", memory_router},   {0},
    };

    return lab_main(argc, argv, rows);
}
