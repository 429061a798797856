/* SPDX-License-Identifier: Apache-2.0 */
/* A broker and a client for the tests of connections. See mini-broker.h. */

#include "mini-broker.h"

#include <poll.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/error.h"

enum { BODY_MAX = 16 << 20 };

/* ---- the broker ---- */

static bool on_gone(Peer *peer, void *ctx) {
    MiniBroker *broker = ctx;

    if (broker->n_not_yet > 0) {
        broker->n_not_yet--;
        return false;
    }
    broker->n_gone++;
    if (broker->last == peer)
        broker->last = NULL;
    return true;
}

void mini_broker_open(MiniBroker *broker, const char *endpoint) {
    HubOptions options = {.max_body = BODY_MAX, .on_gone = on_gone, .ctx = broker};
    ferry_error error = FERRY_ERROR_INIT;

    broker->last = NULL;
    if (hub_new(&broker->hub, &options, &error) < 0 ||
        hub_bind(broker->hub, endpoint, broker->endpoint, &error) < 0) {
        ferry_error_print(&error, stderr);
        abort();
    }
}

void mini_broker_close(MiniBroker *broker) {
    broker->hub = hub_free(broker->hub);
}

static void welcome(MiniBroker *broker, Peer *peer, const Message *hello) {
    static const uint8_t token[WIRE_TOKEN] = "token";

    broker->n_hello++;
    broker->last = peer;
    peer->session = broker;
    peer->out.credit = (int64_t)hello->hello.bytes;
    peer_put(
        peer, LANE_CONTROL,
        &(Message){.op = OP_WELCOME,
                   .welcome.version = 1,
                   .welcome.broker = span_of(token, WIRE_TOKEN),
                   .welcome.bytes = broker->welcome_bytes ? broker->welcome_bytes : WIRE_CREDIT},
        NULL);
}

static void answer(Peer *peer, Message *call) {
    const void *block;

    if (inbox_body(&peer->in, call, &block) < 0)
        abort();
    peer_put(peer, LANE_CALLS, &(Message){.op = OP_OK, .id = call->id, .body = call->body}, block);
    ferry_free(block);
}

static void take(MiniBroker *broker, Peer *peer, Message *message) {
    switch (message->op) {
    case OP_HELLO:
        welcome(broker, peer, message);
        break;
    case OP_CREDIT:
        peer->out.credit += (int64_t)message->credit.bytes;
        peer_touch(peer);
        break;
    case OP_PART:
        broker->n_landed += message->body.len == 0;
        inbox_part(&peer->in, message);
        break;
    case OP_BYE:
        peer_close(peer);
        break;
    case OP_CALL:
        broker->n_calls++;
        if (!broker->mute)
            answer(peer, message);
        break;
    default:
        break;
    }
}

static void broker_turn(MiniBroker *broker) {
    const uint8_t *data;
    size_t len;
    Peer *peer;

    hub_wait(broker->hub, -1, 0);
    while (hub_receive(broker->hub, &peer, &data, &len)) {
        Message message = {0};
        Reader reader;

        broker->n_batches++;
        if (batch_open(&reader, data, len) < 0) {
            peer_close(peer);
            continue;
        }
        if (data[len > 3 ? 3 : 0] >= OP_OK || data[len > 3 ? 3 : 0] == OP_PART)
            inbox_charge(&peer->in, len);
        while (message_read(&reader, &message) == 1)
            take(broker, peer, &message);
    }
    hub_flush(broker->hub);
}

/* ---- the client ---- */

static void on_message(const Message *message, const void *block, void *ctx) {
    MiniClient *client = ctx;

    (void)block;
    client->n_messages++;
    client->last_id = message->id;
    client->last_len = message->body.len;
    for (size_t i = 0; i < message->body.len; i++)
        client->n_wrong += message->body.data[i] != (uint8_t)message->id;
}

static void on_up(const Message *welcome, void *ctx) {
    (void)welcome;
    ((MiniClient *)ctx)->n_up++;
}

static void on_down(bool was_up, const ferry_error *error, void *ctx) {
    (void)error;
    ((MiniClient *)ctx)->n_down += was_up;
}

static void on_hello(Message *hello, Buffer *buffer, void *ctx) {
    (void)hello;
    (void)buffer;
    (void)ctx;
}

LinkHandlers mini_handlers(MiniClient *client) {
    return (LinkHandlers){.on_message = on_message,
                          .on_up = on_up,
                          .on_down = on_down,
                          .on_hello = on_hello,
                          .ctx = client};
}

void mini_client_open(MiniClient *client, const char *url) {
    LinkHandlers handlers = mini_handlers(client);

    *client = (MiniClient){0};
    if (link_new(&client->link, url, "mini", &handlers, NULL) < 0)
        abort();
}

void mini_client_close(MiniClient *client) {
    client->link = link_free(client->link);
}

int mini_call(MiniClient *client, uint64_t id, size_t len) {
    uint8_t *body = malloc(len ? len : 1);
    int r;

    if (!body)
        abort();
    memset(body, (uint8_t)id, len);
    r = link_put(client->link, LANE_CALLS,
                 &(Message){.op = OP_CALL,
                            .id = id,
                            .name = span_text("a"),
                            .call.method = span_text("b"),
                            .body = span_of(body, len)},
                 NULL);
    free(body);
    link_flush(client->link);
    return r;
}

void mini_turn(MiniBroker *broker, MiniClient *client) {
    if (client) {
        link_process(client->link, 1000, clock_ms());
        link_flush(client->link);
    }
    if (broker)
        broker_turn(broker);
    poll(NULL, 0, 1);
}

void mini_turns(MiniBroker *broker, MiniClient *client, unsigned n) {
    while (n-- > 0)
        mini_turn(broker, client);
}
