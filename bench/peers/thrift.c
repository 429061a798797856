/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Thrift's own C library, client straight to server: typed calls with a struct of ten fields. Its
 * client waits for each answer; to have many in flight we use the send and receive halves that it
 * generates as well. Its only server takes one connection at a time. Framed transport: the buffered
 * one does a third of it.
 */

#include <stdlib.h>
#include <string.h>

#include <thrift/c_glib/protocol/thrift_binary_protocol.h>
#include <thrift/c_glib/protocol/thrift_binary_protocol_factory.h>
#include <thrift/c_glib/server/thrift_simple_server.h>
#include <thrift/c_glib/thrift.h>
#include <thrift/c_glib/transport/thrift_framed_transport.h>
#include <thrift/c_glib/transport/thrift_framed_transport_factory.h>
#include <thrift/c_glib/transport/thrift_server_socket.h>
#include <thrift/c_glib/transport/thrift_socket.h>

#include "bench_orders.h"

#include "bench/lab.h"
#include "bench/order-value.h"

/* ---- the server ---- */

typedef struct EchoHandler {
    benchOrdersHandler parent;
} EchoHandler;

typedef struct EchoHandlerClass {
    benchOrdersHandlerClass parent;
} EchoHandlerClass;

GType echo_handler_get_type(void);
G_DEFINE_TYPE(EchoHandler, echo_handler, bench_orders_handler_get_type())

/* Returns the order that it received: the caller made *ret as an empty order and frees the
 * contents. */
static gboolean echo(benchOrdersIf *handler, benchOrder **ret, const benchOrder *order,
                     GError **error) {
    (void)handler;
    (void)error;
    g_object_unref(*ret);
    *ret = g_object_ref((gpointer)(uintptr_t)order);
    return TRUE;
}

static gboolean say(benchOrdersIf *handler, GByteArray **ret, const GByteArray *bytes,
                    GError **error) {
    (void)handler;
    (void)error;
    if (*ret)
        g_byte_array_unref(*ret);
    *ret = g_byte_array_ref((gpointer)(uintptr_t)bytes);
    return TRUE;
}

static void echo_handler_init(EchoHandler *handler) {
    (void)handler;
}

static void echo_handler_class_init(EchoHandlerClass *class) {
    class->parent.echo = echo;
    class->parent.say = say;
}

static _Noreturn void serve(int port) {
    gpointer handler = g_object_new(echo_handler_get_type(), NULL);
    gpointer processor = g_object_new(bench_orders_processor_get_type(), "handler", handler, NULL);
    gpointer socket = g_object_new(THRIFT_TYPE_SERVER_SOCKET, "port", port, NULL);
    gpointer transports = g_object_new(THRIFT_TYPE_FRAMED_TRANSPORT_FACTORY, NULL);
    gpointer protocols = g_object_new(THRIFT_TYPE_BINARY_PROTOCOL_FACTORY, NULL);
    gpointer server = g_object_new(
        THRIFT_TYPE_SIMPLE_SERVER, "processor", processor, "server_transport", socket,
        "input_transport_factory", transports, "output_transport_factory", transports,
        "input_protocol_factory", protocols, "output_protocol_factory", protocols, NULL);
    GError *error = NULL;

    lab_ready();
    thrift_server_serve(THRIFT_SERVER(server), &error);
    lab_die("thrift server: %s", error ? error->message : "ended");
}

/* ---- the client ---- */

typedef struct Client {
    benchOrdersIf *orders;
    benchOrder *order;
} Client;

static benchOrder *make_order(void) {
    benchOrder *order = g_object_new(
        bench_order_get_type(), "id", (gint64)ORDER_ID, "customer", ORDER_CUSTOMER, "paid",
        ORDER_PAID, "total", ORDER_TOTAL, "quantity", ORDER_QUANTITY, "currency", ORDER_CURRENCY,
        "created_ms", (gint64)ORDER_CREATED_MS, "note", ORDER_NOTE, NULL);

    g_array_append_vals(order->items, order_items, ORDER_N_ITEMS);
    order->__isset_items = TRUE;
    order->token = g_byte_array_append(g_byte_array_new(), order_token, ORDER_TOKEN_BYTES);
    order->__isset_token = TRUE;
    return order;
}

static bool open_when_up(ThriftTransport *transport) {
    for (int i = 0; i < 200; i++) {
        GError *error = NULL;

        if (thrift_transport_open(transport, &error))
            return true;
        g_clear_error(&error);
        lab_sleep_us(10000);
    }
    return false;
}

static Client connect_client(int port) {
    gpointer socket = g_object_new(THRIFT_TYPE_SOCKET, "hostname", "127.0.0.1", "port", port, NULL);
    gpointer transport = g_object_new(THRIFT_TYPE_FRAMED_TRANSPORT, "transport", socket, NULL);
    gpointer protocol = g_object_new(THRIFT_TYPE_BINARY_PROTOCOL, "transport", transport, NULL);

    if (!open_when_up(THRIFT_TRANSPORT(transport)))
        lab_die("cannot connect to Thrift's server");
    return (Client){
        .orders = g_object_new(bench_orders_client_get_type(), "input_protocol", protocol,
                               "output_protocol", protocol, NULL),
        .order = make_order(),
    };
}

static Client start(void) {
    int port = lab_free_port();

    if (lab_fork() == 0)
        serve(port);
    lab_wait_ready(1);
    return connect_client(port);
}

static void send_order(Client *client) {
    GError *error = NULL;

    if (!bench_orders_client_send_echo(client->orders, client->order, &error))
        lab_die("thrift: %s", error->message);
}

static void receive_order(Client *client) {
    benchOrder *order = g_object_new(bench_order_get_type(), NULL);
    GError *error = NULL;

    if (!bench_orders_client_recv_echo(client->orders, &order, &error))
        lab_die("thrift: %s", error->message);
    LAB_CHECK(order->id == ORDER_ID && order->items->len == ORDER_N_ITEMS);
    g_object_unref(order);
}

static void typed(const LabArgs *args) {
    Client client = start();
    LabMeter meter;

    lab_meter_start(&meter, args);
    for (unsigned i = 0; i < args->window; i++)
        send_order(&client);
    for (;;) {
        receive_order(&client);
        if (lab_meter_add(&meter, 1))
            break;
        send_order(&client);
    }
    lab_meter_report(&meter);
}

/* ---- bytes ---- */

typedef struct Bytes {
    Client client;
    GByteArray *payload;
} Bytes;

static Bytes start_bytes(const LabArgs *args) {
    Bytes bytes = {start(), g_byte_array_new()};

    g_byte_array_append(bytes.payload, (const guint8 *)args->payload, (guint)args->size);
    return bytes;
}

static void send_bytes(Bytes *bytes) {
    GError *error = NULL;

    if (!bench_orders_client_send_say(bytes->client.orders, bytes->payload, &error))
        lab_die("thrift: %s", error->message);
}

static void receive_bytes(Bytes *bytes) {
    GByteArray *got = NULL;
    GError *error = NULL;

    if (!bench_orders_client_recv_say(bytes->client.orders, &got, &error))
        lab_die("thrift: %s", error->message);
    LAB_CHECK(got->len == bytes->payload->len);
    g_byte_array_unref(got);
}

static int say_once(void *ctx) {
    send_bytes(ctx);
    receive_bytes(ctx);
    return 0;
}

static void bytes_latency(const LabArgs *args) {
    Bytes bytes = start_bytes(args);

    lab_measure_latency(args, say_once, &bytes);
}

static void bytes_calls(const LabArgs *args) {
    Bytes bytes = start_bytes(args);
    LabMeter meter;

    lab_meter_start(&meter, args);
    for (unsigned i = 0; i < args->window; i++)
        send_bytes(&bytes);
    for (;;) {
        receive_bytes(&bytes);
        if (lab_meter_add(&meter, 1))
            break;
        send_bytes(&bytes);
    }
    lab_meter_report(&meter);
}

int main(int argc, char **argv) {
    static const LabRow rows[] = {{"typed", "framed", typed},
                                  {"calls", "bytes", bytes_calls},
                                  {"latency", "bytes", bytes_latency},
                                  {0}};

    return lab_main(argc, argv, rows);
}
