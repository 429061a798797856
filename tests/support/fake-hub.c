/* SPDX-License-Identifier: Apache-2.0 */

/* Peers without sockets. See fake-hub.h; this file replaces rpc/link/hub/hub.c. */

#include "support/fake-hub.h"

#include <stdlib.h>
#include <utlist.h>

#include "broker/admin/admin.h"
#include "broker/admin/binds.h"
#include "broker/admin/retained.h"
#include "broker/core/rooms.h"
#include "broker/events/events.h"
#include "broker/loop/deferred.h"
#include "broker/loop/dispatch.h"
#include "broker/queues/queues.h"
#include "broker/schedules/schedules.h"
#include "broker/services/services.h"
#include "broker/sessions/hello.h"
#include "broker/sessions/quota.h"
#include "broker/topics/topics.h"

typedef struct FakePeer {
    Peer peer; /* first, so that both have one address */
    struct FakePeer *prev, *next;
    Chunk *reading;
    Reader reader;
    Message message;
} FakePeer;

struct Hub {
    FakePeer *peers;
    Peer *touched; /* utlist: peers with output */
};

static FakePeer *fake_of(Peer *peer) {
    return (FakePeer *)peer;
}

static void leave_touched(Peer *peer) {
    if (peer->touched)
        DL_DELETE(peer->hub->touched, peer);
    peer->touched = false;
}

static void join_touched(Peer *peer) {
    if (!peer->touched)
        DL_PREPEND(peer->hub->touched, peer);
    peer->touched = true;
}

Peer *fake_touched(Broker *broker) {
    Peer *peer = broker->hub->touched;

    if (peer)
        leave_touched(peer);
    return peer;
}

/* ---- the hub's side ---- */

int peer_put(Peer *peer, Lane lane, const Message *message, const void *block) {
    int r;

    if (peer->gone || (peer->closing && lane != LANE_CONTROL))
        return 0;
    join_touched(peer);
    r = outbox_put(&peer->out, lane, message, block);
    peer_weigh(peer);
    return r;
}

void peer_touch(Peer *peer) {
    (void)peer;
}

void peer_close(Peer *peer) {
    peer->closing = true;
    peer->out.credit = 0;
}

const char *peer_address(const Peer *peer, char to[CONNECTION_ADDRESS_MAX]) {
    (void)peer;
    snprintf(to, CONNECTION_ADDRESS_MAX, "nowhere");
    return to;
}

size_t hub_n_peers(const Hub *hub) {
    (void)hub;
    return 1;
}

size_t hub_n_connections(const Hub *hub) {
    (void)hub;
    return 1;
}

/* ---- the test's side ---- */

void fake_hub_init(Broker *broker) {
    *broker = (Broker){.limits = limits_default, .now_ms = 1000, .now_us = 1000000};
    timers_init(&broker->timers, broker->now_ms);
    broker->hub = calloc(1, sizeof(*broker->hub));
    if (!broker->hub)
        abort();
    if (events_new(&broker->events, broker) < 0 || deferred_new(&broker->deferred, broker) < 0 ||
        services_new(&broker->services, broker) < 0 || topics_new(&broker->topics, broker) < 0 ||
        queues_new(&broker->queues, broker) < 0 || binds_new(&broker->binds, broker) < 0 ||
        retained_new(&broker->retained, broker) < 0 ||
        schedules_new(&broker->schedules, broker) < 0 || admin_new(&broker->admin, broker) < 0)
        abort();
}

static void fake_peer_free(FakePeer *fake) {
    Peer *peer = &fake->peer;

    DL_DELETE(peer->hub->peers, fake);
    leave_touched(peer);
    chunk_free(fake->reading);
    outbox_clear(&peer->out);
    inbox_clear(&peer->in);
    peer_weigh(peer);
    free(peer->connection.curve);
    free(fake);
}

void fake_hub_deinit(Broker *broker) {
    sessions_free(broker);
    admin_free(broker->admin);
    schedules_free(broker->schedules);
    retained_free(broker->retained);
    binds_free(broker->binds);
    queues_free(broker->queues);
    topics_free(broker->topics);
    services_free(broker->services);
    deferred_free(broker->deferred);
    broker->events = events_free(broker->events);
    while (broker->hub->peers)
        fake_peer_free(broker->hub->peers);
    free(broker->hub);
    broker->hub = NULL;
    quotas_free(broker);
}

Peer *fake_peer_new(Broker *broker) {
    FakePeer *fake = calloc(1, sizeof(*fake));
    Peer *peer = &fake->peer;

    if (!fake)
        abort();
    peer->hub = broker->hub;
    peer->connection.fd = -1;
    peer->in.granted = WIRE_CREDIT;
    peer->account.budget = &broker->budget;
    peer->in.account = &peer->account;
    peer->in.max_body = broker->limits.max_body;
    DL_APPEND(broker->hub->peers, fake);
    return peer;
}

void peer_handled(Peer *peer) {
    uint64_t grant = peer->closing ? 0 : inbox_handled(&peer->in);

    if (grant > 0)
        peer_put(peer, LANE_CONTROL, &(Message){.op = OP_CREDIT, .credit.bytes = grant}, NULL);
}

static void turn_end(Broker *broker) {
    dispatch_deferred(broker);
    rooms_turn_end(broker);
    sessions_turn_end(broker);
}

void fake_peer_gone(Broker *broker, Peer *peer) {
    peer->gone = true;
    while (!sessions_peer_gone(broker, peer))
        turn_end(broker);
    turn_end(broker);
    fake_peer_free(fake_of(peer));
}

void fake_receive(Broker *broker, Peer *peer, const void *data, size_t len) {
    if (peer->closing)
        return;
    dispatch_batch(broker, peer, data, len);
    if (broker->sessions.ending)
        sessions_turn_end(broker);
    peer_handled(peer);
    turn_end(broker);
}

void fake_say(Broker *broker, Peer *peer, const Message *message) {
    uint8_t *bytes = malloc(WIRE_HEAD + message_size(message)), *end;

    if (!bytes)
        abort();
    bytes[0] = WIRE_MAGIC;
    bytes[1] = WIRE_PROTOCOL;
    end = message_write(bytes + WIRE_HEAD, message);
    fake_receive(broker, peer, bytes, (size_t)(end - bytes));
    free(bytes);
}

void fake_hello(Broker *broker, Peer *peer, uint8_t client) {
    uint8_t id[WIRE_TOKEN];

    memset(id, client, sizeof(id));
    fake_say(broker, peer,
             &(Message){.op = OP_HELLO,
                        .hello.version_min = 1,
                        .hello.version_max = 1,
                        .hello.client = span_of(id, sizeof(id)),
                        .hello.bytes = INT64_MAX / 8,
                        .hello.text = span_text("test")});
}

const Message *fake_next(Peer *peer) {
    FakePeer *fake = fake_of(peer);

    for (;;) {
        int r;

        if (!fake->reading) {
            fake->reading = outbox_take(&peer->out);
            peer_weigh(peer);
            if (!fake->reading)
                return NULL;
            /* The output for a client must be a valid batch. */
            if (batch_open(&fake->reader, fake->reading->data, fake->reading->len) < 0)
                abort();
        }
        r = message_read(&fake->reader, &fake->message);
        if (r < 0)
            abort();
        if (r > 0)
            return &fake->message;
        chunk_free(fake->reading);
        fake->reading = NULL;
    }
}

Peer *fake_peer_of_user(Broker *broker, uid_t uid, uint8_t client) {
    Peer *peer = fake_peer_new(broker);

    peer->has_uid = true;
    peer->uid = uid;
    fake_hello(broker, peer, client);
    return peer;
}

Peer *fake_peer_connected(Broker *broker, uint8_t client) {
    Peer *peer = fake_peer_new(broker);

    fake_hello(broker, peer, client);
    while (fake_next(peer))
        continue;
    return peer;
}

const Message *fake_next_real(Peer *peer) {
    const Message *message;

    while ((message = fake_next(peer)))
        if (message->op >= OP_OK || message->op == OP_BYE || message->op == OP_FAULT)
            return message;
    return NULL;
}

const char *fake_error(const Message *message, const char *key) {
    static char texts[4][600];
    static unsigned turn;
    char *text = texts[turn++ % 4];
    uint32_t left;
    Reader pairs =
        pairs_of(message->op == OP_FAULT ? message->fault.map : message->error.map, &left);
    Span name;

    *text = '\0';
    while (pairs_next(&pairs, &left, &name)) {
        Span value = reader_value(&pairs);
        Reader inside = reader_of(value.data, value.len);

        if (span_is(name, key)) {
            Span said = reader_str(&inside);

            snprintf(text, sizeof(texts[0]), "%.*s", (int)said.len, (const char *)said.data);
        }
    }
    return text;
}

void fake_wait(Broker *broker, uint64_t ms) {
    broker->now_ms += ms;
    broker->now_us += ms * 1000;
    timers_run(&broker->timers, broker->now_ms, broker);
    rooms_run_timers(broker);
    turn_end(broker);
}
