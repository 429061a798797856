/* SPDX-License-Identifier: Apache-2.0 */
/* Retained values that brokers share. See retained.h. */

#include "broker/admin/retained.h"

#include <errno.h>
#include <stdlib.h>
#include <utlist.h>

#include "base/log.h"
#include "broker/queues/inbox-entry.h"
#include "broker/queues/queues-private.h"
#include "broker/queues/shards-private.h"
#include "broker/topics/topics-private.h"
#include "rpc/wire/name.h"

enum { TURN_WORK = 8192 }; /* units of work in one turn, as in loop/deferred.h */

/* A SUBSCRIBE that waits for a look at the store. */
typedef struct HeldSubscribe {
    struct HeldSubscribe *prev, *next;
    Session *session;
    uint64_t id, look;
    size_t name_len, options_len;
    uint8_t data[];
} HeldSubscribe;

struct Retained {
    Room room;
    Broker *broker;
    TopicRelay *relay;   /* NULL: no other broker shares values with this one */
    HeldSubscribe *held; /* utlist, in the order of their looks */
    size_t n_held;
    uint64_t looked; /* the number of the last look that has ended */
};

static unsigned shard_of_topic(const Retained *retained, Span topic) {
    return shard_of(retained->broker->queues, topic)->shard - 1;
}

static bool is_here(const Retained *retained, unsigned shard) {
    return !store_is_away(retained->broker->queues->shards[shard].store);
}

bool retained_is_given(const Retained *retained, const Topic *topic) {
    return topic->shard == 0 || is_here(retained, topic->shard - 1U);
}

/* ---- PUBLISH ---- */

bool retained_is_shared(const Retained *retained, Span topic) {
    return retained && retained->relay && name_is_valid(topic.data, topic.len) &&
           !name_is_reserved(topic.data, topic.len);
}

int retained_admit(const Retained *retained, Span topic) {
    return retained->relay->ops->admit(retained->relay, shard_of_topic(retained, topic));
}

/* Each shard has its part of the limits. Topics are spread by their hashes, so some shards get more
 * of them than others. Each broker has all values, and needs room for other messages, too. */
int retained_send(Retained *retained, const Message *message, void *sending) {
    const Limits *limits = &retained->broker->limits;
    unsigned n = retained->broker->queues->n_shards;
    RelayValue value = {.topic = message->name,
                        .max_values = (limits->max_names + limits->max_names / 4) / n + 1,
                        .max_bytes = limits->max_total_bytes / 2 / n};
    CLEANUP(buffer_deinit) Buffer text = {0};

    if (message->body.len > 0)
        inbox_entry_write(&text, NULL, 0, message);
    if (text.failed)
        return -ENOMEM;
    value.value = span_of(text.data, text.len);
    return retained->relay->ops->retain(retained->relay, shard_of_topic(retained, message->name),
                                        &value, sending);
}

/* ---- SUBSCRIBE ---- */

static HeldSubscribe *held_free(Retained *retained, HeldSubscribe *held) {
    size_t bytes = sizeof(*held) + held->name_len + held->options_len;

    DL_DELETE(retained->held, held);
    retained->n_held--;
    held->session->n_held--;
    retained->broker->budget.bytes[BUDGET_TOPICS] -= bytes;
    free(held);
    return NULL;
}

static void subscribe(const Retained *retained, Session *session, const Message *message) {
    const Queues *queues = retained->broker->queues;
    uint64_t given = 0;

    for (unsigned k = 0; k < queues->n_shards; k++)
        given |= (uint64_t)is_here(retained, k) << k;
    topics_set_given(retained->broker->topics, given);
    topics_subscribe(retained->broker->topics, session, message);
}

static void let_go(Retained *retained, HeldSubscribe *held) {
    Session *session = held->session;
    Message message = {.op = OP_SUBSCRIBE,
                       .id = held->id,
                       .name = span_of(held->data, held->name_len),
                       .subscribe.options =
                           span_of(held->data + held->name_len, held->options_len)};

    if (!session->ending)
        subscribe(retained, session, &message);
    held_free(retained, held);
}

static void hold(Retained *retained, Session *session, const Message *message) {
    Span name = message->name, options = message->subscribe.options;
    size_t bytes = sizeof(HeldSubscribe) + name.len + options.len;
    HeldSubscribe *held = NULL;

    if (retained->n_held < RETAINED_HELD_MAX && broker_may_store(retained->broker, bytes))
        held = malloc(bytes);
    if (!held) {
        session_error(session, message->id, "ferry.Overloaded",
                      "cannot subscribe to '%s': too many subscribers wait for retained values",
                      shown(name));
        return;
    }
    *held = (HeldSubscribe){.session = session,
                            .id = message->id,
                            .look = retained->relay->ops->look(retained->relay),
                            .name_len = name.len,
                            .options_len = options.len};
    memcpy(held->data, name.data, name.len);
    if (options.len > 0)
        memcpy(held->data + name.len, options.data, options.len);
    retained->broker->budget.bytes[BUDGET_TOPICS] += bytes;
    retained->n_held++;
    session->n_held++;
    DL_APPEND(retained->held, held);
}

/* The broker's own topics have no retained values. A topic that this broker does not know may get
 * its first value by the next look: the value then follows as a message. */
static bool must_wait(const Retained *retained, const Message *message) {
    Span name = message->name;

    if (message->id == 0 || !pattern_is_valid(name.data, name.len) ||
        name_is_reserved(name.data, name.len))
        return false;
    return pattern_is_wild(name.data, name.len) || topic_find(retained->broker->topics, name);
}

void retained_subscribe(Retained *retained, Session *session, const Message *message) {
    if (!retained->relay) {
        topics_subscribe(retained->broker->topics, session, message);
    } else if (must_wait(retained, message)) {
        hold(retained, session, message);
    } else {
        subscribe(retained, session, message);
        retained->relay->ops->look(retained->relay);
    }
}

void retained_unsubscribe(Retained *retained, Session *session, const Message *message) {
    HeldSubscribe *held, *next;

    for (held = retained->held; held && session->n_held > 0; held = next) {
        next = held->next;
        if (held->session == session)
            let_go(retained, held);
    }
    topics_unsubscribe(retained->broker->topics, session, message);
}

/* ---- the relay's functions ---- */

static void on_all(unsigned shard, void *ctx) {
    const Retained *retained = ctx;

    topics_forget(retained->broker->topics, shard + 1);
}

static bool is_right(Span topic, const InboxEntry *entry) {
    return name_is_valid(topic.data, topic.len) && !name_is_reserved(topic.data, topic.len) &&
           entry->message.name.len == topic.len &&
           memcmp(entry->message.name.data, topic.data, topic.len) == 0;
}

static uint64_t before(uint64_t ms) {
    return ms > RETAINED_SPREAD_MS ? ms - RETAINED_SPREAD_MS : 0;
}

/* Subscribers that came at about this time may have missed the message at its own broker. */
static bool on_value(unsigned shard, Span topic, Span value, bool is_new, uint64_t published_ms,
                     void *ctx) {
    const Retained *retained = ctx;
    uint64_t since_ms = UINT64_MAX;
    InboxEntry entry = {.message = {.op = OP_PUBLISH, .name = topic}};

    if ((value.len > 0 && inbox_entry_read(value, &entry) < 0) || !is_right(topic, &entry)) {
        log_error("a retained value in the store is not one of this version of ferry, ignoring: "
                  "shard=%u topic='%s'",
                  shard, shown(topic));
        return true;
    }
    if (is_new && is_here(retained, shard))
        since_ms = before(published_ms);
    return topics_keep(retained->broker->topics, shard + 1, &entry.message, is_new, since_ms) == 0;
}

/* Lets SUBSCRIBEs go on, as many as the turn can take. */
static void go_on(Retained *retained) {
    unsigned until = retained->broker->turn.work + TURN_WORK;

    while (retained->held && retained->held->look <= retained->looked &&
           (int)(until - retained->broker->turn.work) > 0) {
        retained->broker->turn.work++;
        let_go(retained, retained->held);
    }
}

static void on_looked(uint64_t number, void *ctx) {
    Retained *retained = ctx;

    retained->looked = number;
    go_on(retained);
}

static void on_here(unsigned shard, uint64_t served_ms, void *ctx) {
    const Retained *retained = ctx;

    topics_give(retained->broker->topics, shard + 1, before(served_ms));
}

void retained_set_relay(Retained *retained, TopicRelay *relay) {
    retained->relay = relay;
    relay->values = (RelayValues){.ctx = retained,
                                  .on_all = on_all,
                                  .on_value = on_value,
                                  .on_looked = on_looked,
                                  .on_here = on_here};
}

/* ---- the room ---- */

static void on_turn_end(Room *room) {
    go_on((Retained *)room);
}

static uint64_t on_next_ms(const Room *room) {
    const Retained *retained = (const Retained *)room;

    return retained->held && retained->held->look <= retained->looked ? 0 : UINT64_MAX;
}

static void on_session_gone(Room *room, Session *session) {
    Retained *retained = (Retained *)room;
    HeldSubscribe *held, *next;

    for (held = retained->held; held && session->n_held > 0; held = next) {
        next = held->next;
        if (held->session == session)
            held_free(retained, held);
    }
}

static const RoomOps room_ops = {
    .turn_end = on_turn_end, .next_ms = on_next_ms, .session_gone = on_session_gone};

int retained_new(Retained **ret, Broker *broker) {
    Retained *retained = calloc(1, sizeof(*retained));

    if (!retained)
        return -ENOMEM;
    retained->broker = broker;
    room_open(broker, &retained->room, &room_ops);
    *ret = retained;
    return 0;
}

Retained *retained_free(Retained *retained) {
    if (!retained)
        return NULL;
    while (retained->held)
        held_free(retained, retained->held);
    room_close(retained->broker, &retained->room);
    free(retained);
    return NULL;
}
