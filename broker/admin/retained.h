/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Retained values that the brokers of a cluster share. Each broker stores the values that are
 * published there (stores/relay.h), and has all values of the cluster in memory, so no value must
 * be read when a broker is lost.
 *
 * Subscribers are at every broker. A new one gets the values of a shard from the broker that has
 * the shard. SUBSCRIBE to a pattern with wildcards, or to a topic that the broker knows, waits
 * until the broker has read the values that are stored by then. A value that it reads later, or
 * whose shard is at no broker, follows as a message.
 */

#include "broker/queues/queues.h"
#include "broker/sessions/session.h"

typedef struct Retained Retained;
struct Topic;

enum {
    /* A subscriber is at all brokers within this time of its first SUBSCRIBE, also on a busy
     * machine. */
    RETAINED_SPREAD_MS = 1000,
    RETAINED_HELD_MAX = 100000, /* SUBSCRIBEs that wait */
};

/* Call it after topics_new() and queues_new(). */
int retained_new(Retained **ret, Broker *broker);
Retained *retained_free(Retained *retained);
/* The broker shares retained values with others. */
void retained_set_relay(Retained *retained, TopicRelay *relay);

bool retained_is_shared(const Retained *retained, Span topic);
/* True: the message becomes a retained value that brokers share. `retained` may be NULL. */
static inline bool retained_takes(const Retained *retained, const Message *message) {
    return message->publish.flags & PUBLISH_RETAIN && retained_is_shared(retained, message->name);
}
/* Checks that a value of this topic can be stored now. 0; -EBUSY: it would wait for too long. */
int retained_admit(const Retained *retained, Span topic);
/* Stores the message as the value of its topic; RelayUser.on_sent() will be called with `sending`.
 * -ENOMEM. */
int retained_send(Retained *retained, const Message *message, void *sending);

/* SUBSCRIBE and UNSUBSCRIBE, for broker/topics/. */
void retained_subscribe(Retained *retained, Session *session, const Message *message);
void retained_unsubscribe(Retained *retained, Session *session, const Message *message);

/* True: new subscribers get the topic's value at this broker. */
bool retained_is_given(const Retained *retained, const struct Topic *topic);
