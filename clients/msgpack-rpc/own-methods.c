/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The gateway's own methods, for topics and queues:
 *
 *     ferry.subscribe(pattern, {method, args, unpack})   returns the subscription's number
 *     ferry.unsubscribe(number)
 *     ferry.publish(topic, body)
 *     ferry.push(queue, body)                            answered when the queue has stored the job
 *
 * A message comes as a notification: [2, "ferry.message", [topic, body]], or with `method` and
 * `args` [2, method, [args…, [topic, body]]]. See connection.h.
 */

#include <errno.h>
#include <stdlib.h>
#include <utlist.h>

#include "base/error.h"
#include "clients/msgpack-rpc/connection.h"
#include "rpc/wire/writer.h"

enum { NAME_MAX_BYTES = 255, FORM_MAX = 4096 };

struct RpcSubscription {
    RpcSubscription *prev, *next;
    RpcConnection *connection;
    ferry_client *handle; /* closing it ends the subscription */
    uint64_t id;
    bool unpack;
    Buffer method, args; /* method and first arguments of the notifications */
};

/* ---- arguments ---- */

static int wrong(ferry_error *reterr, const char *what) {
    return error_set(reterr, "ferry.InvalidArgument", "%s", what);
}

/* A name as a string; ferry checks it. */
static int read_name(Reader *reader, char to[NAME_MAX_BYTES + 1], ferry_error *reterr) {
    Span name = rpc_read_text(reader);

    if (reader->problem || name.len > NAME_MAX_BYTES ||
        (name.len && memchr(name.data, 0, name.len)))
        return wrong(reterr, "the first argument must be a name of at most 255 bytes");
    memcpy(to, name.data, name.len);
    to[name.len] = '\0';
    return 0;
}

/* Returns the bytes of a text or binary; for any other value, its MessagePack. */
static ferry_bytes read_body(Reader *reader) {
    WireType type = reader_peek(reader);
    Span body = type == WIRE_STR || type == WIRE_BIN ? rpc_read_text(reader) : reader_value(reader);

    return ferry_bytes_of(body.data, body.len);
}

/* ---- subscriptions ---- */

static void subscription_free(RpcSubscription *subscription) {
    ferry_close(subscription->handle);
    buffer_deinit(&subscription->method);
    buffer_deinit(&subscription->args);
    free(subscription);
}

void rpc_subscriptions_free(RpcConnection *connection) {
    RpcSubscription *subscription, *next;

    DL_FOREACH_SAFE(connection->subscriptions, subscription, next) {
        subscription_free(subscription);
    }
}

static void on_message(const ferry_message *message, void *ctx) {
    const RpcSubscription *subscription = ctx;
    RpcConnection *connection = subscription->connection;
    const Buffer *method = &subscription->method, *args = &subscription->args;

    if (connection->ended)
        return;
    rpc_write_message(&connection->out, (Span){method->data, method->len},
                      (Span){args->data, args->len}, message->topic,
                      (Span){message->body.data, message->body.len}, subscription->unpack);
    rpc_connection_wrote(connection);
}

static int read_form(RpcSubscription *subscription, Reader *reader, ferry_error *reterr) {
    uint32_t n;

    if (reader_peek(reader) != WIRE_MAP)
        return wrong(reterr, "the second argument must be a map of method, args and unpack");
    for (n = reader_map(reader); n > 0 && !reader->problem; n--) {
        Span key = rpc_read_text(reader);

        if (span_is(key, "method")) {
            Span method = rpc_read_text(reader);

            buffer_reset(&subscription->method);
            buffer_append(&subscription->method, method.data, method.len);
        } else if (span_is(key, "args")) {
            if (reader_peek(reader) != WIRE_ARRAY)
                return wrong(reterr, "'args' must be a list");
            buffer_reset(&subscription->args);
            write_raw(&subscription->args, reader_value(reader));
        } else if (span_is(key, "unpack")) {
            subscription->unpack = reader_bool(reader);
        } else {
            return wrong(reterr, "the second argument must be a map of method, args and unpack");
        }
    }
    if (reader->problem)
        return wrong(reterr, "'method' must be a text, 'args' a list, 'unpack' true or false");
    if (subscription->method.len + subscription->args.len > FORM_MAX)
        return wrong(reterr, "method and args of a subscription have 4096 bytes at most");
    return subscription->method.failed || subscription->args.failed ? -ENOMEM : 0;
}

static int subscribe_to(RpcSubscription *subscription, const char *pattern, ferry_error *reterr) {
    const GatewayOptions *options = subscription->connection->gateway->options;
    int r;

    /* ferry_subscribe() waits for the broker, so all connections would wait while the broker is
     * away. */
    if (!options->is_connected(options->ctx))
        return error_set(reterr, "ferry.NotConnected",
                         "the gateway has no connection to the broker");
    r = ferry_with(subscription->connection->handle,
                   &(ferry_options){.timeout_ms = RPC_SUBSCRIBE_MS}, &subscription->handle, reterr);
    return r < 0 ? r
                 : ferry_subscribe(subscription->handle, pattern, NULL, on_message, subscription,
                                   NULL, reterr);
}

static int subscribe(RpcConnection *connection, const RpcMessage *message, Reader *args, uint32_t n,
                     ferry_error *reterr) {
    CLEANUP(buffer_deinit) Buffer number = {0};
    RpcSubscription *subscription;
    char pattern[NAME_MAX_BYTES + 1];
    int r;

    if (n < 1 || n > 2)
        return wrong(
            reterr,
            "ferry.subscribe takes a pattern, and optionally a map of method, args and unpack");
    if (connection->n_subscriptions == RPC_SUBSCRIPTIONS_MAX)
        return error_set(reterr, "ferry.Full", "a connection has at most %d subscriptions",
                         RPC_SUBSCRIPTIONS_MAX);
    subscription = calloc(1, sizeof(*subscription));
    if (!subscription)
        return -ENOMEM;
    subscription->connection = connection;
    subscription->id = connection->last_subscription + 1;
    buffer_append(&subscription->method, "ferry.message", strlen("ferry.message"));
    r = read_name(args, pattern, reterr);
    if (r == 0 && n == 2)
        r = read_form(subscription, args, reterr);
    if (r == 0)
        r = subscribe_to(subscription, pattern, reterr);
    if (r < 0) {
        subscription_free(subscription);
        return r;
    }
    connection->last_subscription++;
    connection->n_subscriptions++;
    DL_APPEND(connection->subscriptions, subscription);
    write_uint(&number, subscription->id);
    rpc_connection_answer(connection, message, (Span){number.data, number.len});
    return 0;
}

static int unsubscribe(RpcConnection *connection, const RpcMessage *message, Reader *args,
                       uint32_t n, ferry_error *reterr) {
    uint64_t id = n == 1 && reader_peek(args) == WIRE_INT ? reader_uint(args) : 0;
    RpcSubscription *subscription;

    DL_FOREACH(connection->subscriptions, subscription) {
        if (subscription->id == id)
            break;
    }
    if (!subscription)
        return error_set(reterr, "ferry.NotFound", "the connection has no subscription %llu",
                         (unsigned long long)id);
    DL_DELETE(connection->subscriptions, subscription);
    connection->n_subscriptions--;
    subscription_free(subscription);
    rpc_connection_answer(connection, message, (Span){NULL, 0});
    return 0;
}

/* ---- messages and jobs ---- */

static int publish(RpcConnection *connection, const RpcMessage *message, Reader *args, uint32_t n,
                   ferry_error *reterr) {
    char topic[NAME_MAX_BYTES + 1];
    int r = n == 2 ? read_name(args, topic, reterr)
                   : wrong(reterr, "ferry.publish takes a topic and a body");

    if (r == 0)
        r = ferry_publish(connection->handle, topic, read_body(args), NULL, reterr);
    if (r == 0)
        rpc_connection_answer(connection, message, (Span){NULL, 0});
    return r;
}

static void on_pushed(const ferry_error *error, void *ctx) {
    RpcPending *call = ctx;

    if (error)
        rpc_connection_fail(call->connection, &call->message, error);
    else
        rpc_connection_answer(call->connection, &call->message, (Span){NULL, 0});
    rpc_pending_free(call);
}

static int push(RpcConnection *connection, const RpcMessage *message, Reader *args, uint32_t n,
                ferry_error *reterr) {
    char queue[NAME_MAX_BYTES + 1];
    RpcPending *call = NULL;
    int r = n == 2 ? read_name(args, queue, reterr)
                   : wrong(reterr, "ferry.push takes a queue and a body");

    if (r == 0 && !(call = rpc_pending_new(connection, message)))
        r = -ENOMEM;
    if (r == 0)
        r = ferry_push_async(connection->handle, queue, read_body(args), NULL, on_pushed, call,
                             reterr);
    if (r < 0 && call)
        rpc_pending_free(call);
    return r;
}

bool rpc_own_method(RpcConnection *connection, const RpcMessage *message) {
    static const struct {
        const char *name;
        int (*run)(RpcConnection *connection, const RpcMessage *message, Reader *args, uint32_t n,
                   ferry_error *reterr);
    } methods[] = {
        {"ferry.subscribe", subscribe},
        {"ferry.unsubscribe", unsubscribe},
        {"ferry.publish", publish},
        {"ferry.push", push},
    };
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    Reader args = reader_of(message->params.data, message->params.len);
    uint32_t n = reader_array(&args);

    for (size_t i = 0; i < sizeof(methods) / sizeof(*methods); i++) {
        int r;

        if (!span_is(message->method, methods[i].name))
            continue;
        r = methods[i].run(connection, message, &args, n, &error);
        if (r < 0 && !error.type)
            error_set_code(&error, r, NULL);
        if (r < 0)
            rpc_connection_fail(connection, message, &error);
        return true;
    }
    return false;
}
