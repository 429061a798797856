/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Events: what happens to the broker, published on the broker's own topics `ferry.events.>`. Each
 * room raises its events; ferry-events.thrift describes their bodies:
 *
 *     if (event_is_watched(broker, EVENT_QUEUE_FULL))
 *         event_raise(broker, EVENT_QUEUE_FULL,
 *                     &(broker_events_queue_full){.queue = queue->name, …});
 *
 * Without a subscriber an event costs one comparison. Events are published at the end of the turn,
 * so raising an event never re-enters the topic router. Of each kind EVENTS_BURST events are
 * published at once, and then one each EVENTS_EACH_MS; further events are counted, and reported
 * once a second. Subscriptions to events raise no events.
 */

#include "base/buffer.h"
#include "broker/core/broker.h"
#include "ferry-events.h"

typedef struct Events Events;

enum {
    EVENTS_BURST = 100,
    EVENTS_EACH_MS = 100,
    EVENTS_TELL_MS = 1000,         /* time between two reports of events that were left out */
    EVENTS_BYTES_MAX = 256 * 1024, /* bytes of the events of one turn */
};

typedef enum EventKind {
    EVENT_SESSION_UP,
    EVENT_SESSION_DOWN,
    EVENT_SERVICE_ADDED,
    EVENT_SERVICE_LOST,
    EVENT_QUEUE_DEAD,
    EVENT_QUEUE_FULL,
    EVENT_SUBSCRIBER_SLOW,
    EVENT_STORE_DEGRADED,
    EVENT_LIMIT_REACHED,
    EVENT_RIGHT_REFUSED,
    EVENT_CONNECTION_REFUSED,
    EVENT_LEFT_OUT,
    N_EVENTS,
} EventKind;

int events_new(Events **ret, Broker *broker);
Events *events_free(Events *events);

/* The topic of the events of this kind. */
const char *event_topic(EventKind kind);

/* A pattern has its first subscription, or has lost its last one. Only patterns that begin with
 * "ferry." match events. Does nothing if the broker has no Events. */
void events_pattern_added(Broker *broker, Span pattern);
void events_pattern_gone(Broker *broker, Span pattern);

/* True: a subscription matches the topic of these events. */
static inline bool event_is_watched(const Broker *broker, EventKind kind) {
    return __builtin_expect(broker->events_watched >> kind & 1, 0);
}

/* value: a struct of ferry-events.h, whose type belongs to the kind. This function sets its
 * time_us. Its texts must be UTF-8. */
void event_raise(Broker *broker, EventKind kind, void *value);

/* Publishes the events that were raised; the topic router calls it at the end of a turn. Events
 * that are raised during the call wait for the next turn. */
void events_flush(Broker *broker, void (*publish)(void *ctx, Span topic, Span body), void *ctx);

/* True: events wait for the end of the turn. */
bool events_wait(const Broker *broker);
