/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Events: what happens to the broker, published on its own topics `ferry.events.>`. The rooms raise
 * them where they happen; ferry-events.thrift describes their bodies:
 *
 *     if (event_is_watched(broker, EVENT_QUEUE_FULL))
 *         event_raise(broker, EVENT_QUEUE_FULL, &(broker_events_queue_full){.queue = queue->name,
 * …});
 *
 * Without a subscriber an event costs one comparison. Events are published at the end of the turn,
 * so raising one never re-enters the topic router. Of each kind EVENTS_BURST are published at once,
 * and then one each EVENTS_EACH_MS; the others are counted, and reported once a second. Events
 * about the subscriptions to events are not raised.
 */

#include "base/buffer.h"
#include "broker/core/broker.h"
#include "ferry-events.h"

typedef struct Events Events;

enum {
    EVENTS_BURST = 100,
    EVENTS_EACH_MS = 100,
    EVENTS_TELL_MS = 1000,         /* how often events that were left out are reported */
    EVENTS_BYTES_MAX = 256 * 1024, /* of one turn */
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

/* A subscription's pattern is new, or gone. Only patterns that begin with "ferry." match events.
 * Does nothing if the broker has no Events. */
void events_pattern_added(Broker *broker, Span pattern);
void events_pattern_gone(Broker *broker, Span pattern);

/* Does a subscription match the topic of these events? */
static inline bool event_is_watched(const Broker *broker, EventKind kind) {
    return __builtin_expect(broker->events_watched >> kind & 1, 0);
}

/* value: a struct of ferry-events.h, of the type that belongs to the kind. Its time_us is set here.
 * The texts are UTF-8. */
void event_raise(Broker *broker, EventKind kind, void *value);

/* Publishes what was raised; called by the topic router at the end of a turn. Events that are
 * raised meanwhile wait for the next turn. */
void events_flush(Broker *broker, void (*publish)(void *ctx, Span topic, Span body), void *ctx);

/* Do events wait for the end of the turn? */
bool events_wait(const Broker *broker);
