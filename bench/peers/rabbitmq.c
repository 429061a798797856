/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RabbitMQ through librabbitmq: a durable classic queue, persistent messages, publisher confirms.
 * The broker confirms a persistent message when it has written it to its disk.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <amqp.h>
#include <amqp_framing.h>
#include <amqp_tcp_socket.h>

#include "bench/lab.h"

enum {
    CHANNEL = 1,
    FRAME_MAX = 131072,
    MAX_UNCONFIRMED = 4096,
    ACK_EACH = 64, /* one acknowledgement covers this many jobs */
};

typedef struct Rabbit {
    amqp_connection_state_t connection;
    uint64_t n_sent, n_confirmed; /* delivery tags count up from 1 */
} Rabbit;

static void check_reply(const Rabbit *rabbit, const char *what) {
    amqp_rpc_reply_t reply = amqp_get_rpc_reply(rabbit->connection);

    errno = 0;
    if (reply.reply_type == AMQP_RESPONSE_LIBRARY_EXCEPTION)
        lab_die("%s: %s", what, amqp_error_string2(reply.library_error));
    if (reply.reply_type != AMQP_RESPONSE_NORMAL)
        lab_die("%s: the server refused it", what);
}

static void check_status(int status, const char *what) {
    errno = 0;
    if (status != AMQP_STATUS_OK)
        lab_die("%s: %s", what, amqp_error_string2(status));
}

static Rabbit connect_to_server(const LabArgs *args) {
    Rabbit rabbit = {.connection = amqp_new_connection()};
    amqp_socket_t *socket = amqp_tcp_socket_new(rabbit.connection);
    amqp_rpc_reply_t reply;

    LAB_CHECK(socket);
    check_status(amqp_socket_open(socket, "127.0.0.1", args->port), "connect");
    reply = amqp_login(rabbit.connection, "/", 0, FRAME_MAX, 0, AMQP_SASL_METHOD_PLAIN, "guest",
                       "guest");
    LAB_CHECK(reply.reply_type == AMQP_RESPONSE_NORMAL);
    amqp_channel_open(rabbit.connection, CHANNEL);
    check_reply(&rabbit, "channel.open");
    return rabbit;
}

static void name_queue(char name[32], pid_t row) {
    snprintf(name, 32, "bench-jobs-%d", (int)row);
}

static void declare_queue(const Rabbit *rabbit, const char *name) {
    amqp_queue_declare(rabbit->connection, CHANNEL, amqp_cstring_bytes(name), 0, 1, 0, 0,
                       amqp_empty_table);
    check_reply(rabbit, "queue.declare");
}

static void delete_queue(const LabArgs *args, const char *name) {
    Rabbit rabbit = connect_to_server(args);

    amqp_queue_delete(rabbit.connection, CHANNEL, amqp_cstring_bytes(name), 0, 0);
    check_reply(&rabbit, "queue.delete");
}

/* ---- pushes and their confirmations ---- */

static void select_confirms(const Rabbit *rabbit) {
    amqp_confirm_select(rabbit->connection, CHANNEL);
    check_reply(rabbit, "confirm.select");
}

static void push(Rabbit *rabbit, const LabArgs *args, const char *queue) {
    amqp_basic_properties_t properties = {._flags = AMQP_BASIC_DELIVERY_MODE_FLAG,
                                          .delivery_mode = AMQP_DELIVERY_PERSISTENT};

    check_status(amqp_basic_publish(rabbit->connection, CHANNEL, amqp_empty_bytes,
                                    amqp_cstring_bytes(queue), 0, 0, &properties,
                                    (amqp_bytes_t){args->size, args->payload}),
                 "basic.publish");
    rabbit->n_sent++;
}

/* Takes one confirmation. wait false: only if it is there. Returns whether there was one. */
static bool take_confirm(Rabbit *rabbit, bool wait) {
    struct timeval now = {0, 0};
    const amqp_basic_ack_t *ack;
    amqp_frame_t frame;
    int status = amqp_simple_wait_frame_noblock(rabbit->connection, &frame, wait ? NULL : &now);

    if (!wait && status == AMQP_STATUS_TIMEOUT)
        return false;
    check_status(status, "waiting for a confirmation");
    LAB_CHECK(frame.frame_type == AMQP_FRAME_METHOD &&
              frame.payload.method.id == AMQP_BASIC_ACK_METHOD);
    ack = frame.payload.method.decoded;
    /* Without `multiple` the tags may come in another order: count them. */
    rabbit->n_confirmed = ack->multiple ? ack->delivery_tag : rabbit->n_confirmed + 1;
    amqp_maybe_release_buffers(rabbit->connection);
    return true;
}

static void push_async(const LabArgs *args) {
    Rabbit rabbit = connect_to_server(args);
    char queue[32];
    LabMeter meter;
    uint64_t before;

    name_queue(queue, getpid());
    declare_queue(&rabbit, queue);
    select_confirms(&rabbit);
    lab_meter_start(&meter, args);
    do {
        while (rabbit.n_sent - rabbit.n_confirmed < args->window)
            push(&rabbit, args, queue);
        before = rabbit.n_confirmed;
        for (bool wait = true; take_confirm(&rabbit, wait); wait = false)
            continue;
    } while (!lab_meter_add(&meter, rabbit.n_confirmed - before));
    lab_meter_report(&meter);
    delete_queue(args, queue);
}

typedef struct OnePush {
    Rabbit rabbit;
    const LabArgs *args;
    char queue[32];
} OnePush;

static int push_one(void *ctx) {
    OnePush *one = ctx;

    push(&one->rabbit, one->args, one->queue);
    while (one->rabbit.n_confirmed < one->rabbit.n_sent)
        take_confirm(&one->rabbit, true);
    return 0;
}

static void push_sync(const LabArgs *args) {
    OnePush one = {.rabbit = connect_to_server(args), .args = args};

    name_queue(one.queue, getpid());
    declare_queue(&one.rabbit, one.queue);
    select_confirms(&one.rabbit);
    lab_measure_latency(args, push_one, &one);
    delete_queue(args, one.queue);
}

/* ---- push, work, acknowledge ---- */

static _Noreturn void produce(const LabArgs *args, const char *queue) {
    Rabbit rabbit = connect_to_server(args);

    select_confirms(&rabbit);
    for (uint64_t n = 0;; n++) {
        lab_pace(LAB_SHARED, args, n);
        push(&rabbit, args, queue);
        while (take_confirm(&rabbit, rabbit.n_sent - rabbit.n_confirmed >= MAX_UNCONFIRMED))
            continue;
    }
}

static _Noreturn void work(const LabArgs *args, unsigned end, const char *queue) {
    Rabbit rabbit = connect_to_server(args);

    amqp_basic_qos(rabbit.connection, CHANNEL, 0, (uint16_t)args->window, 0);
    check_reply(&rabbit, "basic.qos");
    amqp_basic_consume(rabbit.connection, CHANNEL, amqp_cstring_bytes(queue), amqp_empty_bytes, 0,
                       0, 0, amqp_empty_table);
    check_reply(&rabbit, "basic.consume");
    lab_ready();
    for (;;) {
        amqp_rpc_reply_t reply;
        amqp_envelope_t envelope;

        amqp_maybe_release_buffers(rabbit.connection);
        reply = amqp_consume_message(rabbit.connection, &envelope, NULL, 0);
        LAB_CHECK(reply.reply_type == AMQP_RESPONSE_NORMAL);
        if (envelope.delivery_tag % ACK_EACH == 0) {
            check_status(
                amqp_basic_ack(rabbit.connection, CHANNEL, envelope.delivery_tag, 1 /* all */),
                "basic.ack");
            lab_consumed(end, ACK_EACH);
        }
        amqp_destroy_envelope(&envelope);
    }
}

static void queue_disk(const LabArgs *args) {
    Rabbit rabbit = connect_to_server(args);
    char queue[32];

    name_queue(queue, getpid());
    declare_queue(&rabbit, queue);
    amqp_connection_close(rabbit.connection, AMQP_REPLY_SUCCESS);
    amqp_destroy_connection(rabbit.connection);
    for (unsigned i = 0; i < args->n_ends; i++)
        if (lab_fork() == 0)
            work(args, i, queue);
    lab_wait_ready(args->n_ends);
    if (lab_fork() == 0)
        produce(args, queue);
    lab_measure_consumed(args);

    lab_stop_children();
    delete_queue(args, queue);
}

int main(int argc, char **argv) {
    static const LabRow rows[] = {
        {"durable", "disk", queue_disk},
        {"stored", "async", push_async},
        {"flush", "sync", push_sync},
        {0},
    };

    return lab_main(argc, argv, rows);
}
