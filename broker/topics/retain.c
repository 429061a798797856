/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The messages that a topic keeps for later subscribers: its retained value, and its last messages.
 *
 * Each topic keeps its last 16 messages (at most 64 KiB for one topic, and a 16th of
 * max_total_bytes for all), because people want to see what was published before they subscribed.
 * This costs a copy of each message into memory that is already allocated. A rule in the
 * configuration can make a topic keep more messages, or no message.
 */

#include <errno.h>
#include <stdlib.h>
#include <utlist.h>

#include "broker/topics/topics-private.h"

/* ---- topics that may be forgotten ---- */

void topic_update_clock(Topics *topics, Topic *topic) {
    bool may_go = !topic->retained && !topic->pinned;

    if (may_go && !topic->in_clock) {
        DL_APPEND(topics->clock, topic);
        topics->n_clock++;
    } else if (!may_go && topic->in_clock) {
        /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): links that utlist set */
        DL_DELETE(topics->clock, topic);
        topics->n_clock--;
    }
    topic->in_clock = may_go;
}

/* ---- the last messages ---- */

SharedMessage **replay_at(Replay *replay, uint32_t i) {
    i += replay->first;
    return &replay->ring[i < replay->cap ? i : i - replay->cap];
}

static void count(Topics *topics, Topic *topic, ptrdiff_t bytes) {
    topic->replay->bytes += (size_t)bytes;
    if (!topic->ruled)
        topics->replay_bytes += (size_t)bytes;
}

static size_t memory_of(uint32_t cap) {
    return sizeof(Replay) + cap * sizeof(SharedMessage *);
}

/* Takes the oldest message out; the caller owns its reference. */
static SharedMessage *take_first(Topics *topics, Topic *topic) {
    Replay *replay = topic->replay;
    SharedMessage *shared = *replay_at(replay, 0);

    count(topics, topic, -(ptrdiff_t)shared_message_size(shared));
    replay->first = replay->first + 1 < replay->cap ? replay->first + 1 : 0;
    replay->n--;
    return shared;
}

void replay_clear(Topics *topics, Topic *topic) {
    while (topic->replay && topic->replay->n > 0)
        shared_message_unref(topics->broker, take_first(topics, topic));
    if (topic->replay)
        topics->broker->budget.bytes[BUDGET_TOPICS] -= memory_of(topic->replay->cap);
    free(topic->replay);
    topic->replay = NULL;
    if (topic->pinned) {
        topic->pinned = false;
        topics->n_pinned--;
        topic_update_clock(topics, topic);
    }
}

/* Pins a topic: new topics never push out messages that a rule keeps. At most max_names topics are
 * pinned. */
static void pin(Topics *topics, Topic *topic) {
    if (topic->pinned || topics->n_pinned >= topics->broker->limits.max_names)
        return;
    topic->pinned = true;
    topics->n_pinned++;
    topic_update_clock(topics, topic);
}

/* Makes room for one more message of this size in the memory that all topics without a rule share.
 * The topics that were published to least recently lose their messages first. False: there is no
 * room. */
static bool share_has_room(Topics *topics, const Topic *topic, size_t size) {
    size_t share = topics->broker->limits.max_total_bytes / TOPIC_KEEP_SHARE;
    uint32_t steps = 2 * topics->n_clock;

    while (topics->replay_bytes + size > share && steps-- > 0) {
        Topic *other = topics->clock;

        DL_DELETE(topics->clock, other);
        DL_APPEND(topics->clock, other);
        if (!other->recent && other != topic && !other->ruled)
            replay_clear(topics, other);
        other->recent = false;
    }
    return topics->replay_bytes + size <= share;
}

static Replay *replay_new(Topics *topics, uint32_t cap) {
    Replay *replay = NULL;

    if (broker_may_store(topics->broker, memory_of(cap)))
        /* NOLINTNEXTLINE(clang-analyzer-optin.portability.UnixAPI): the size counts a struct */
        replay = calloc(1, memory_of(cap));
    if (!replay)
        return NULL;
    replay->cap = cap;
    topics->broker->budget.bytes[BUDGET_TOPICS] += memory_of(cap);
    return replay;
}

/* Stores the message. If it fits into the memory of the oldest message, which is dropped anyway,
 * that memory is used again. */
static SharedMessage *hold_for_replay(Publication *publication, Topic *topic) {
    Topics *topics = publication->topics;
    SharedMessage *oldest = NULL;

    if (topic->replay->n > 0 && topic->replay->n == topic->replay->cap)
        oldest = take_first(topics, topic);
    if (oldest && !publication->shared &&
        shared_message_reuse(oldest, publication->message, publication->block)) {
        publication->shared = oldest; /* from now on the ring owns the reference */
        return oldest;
    }
    shared_message_unref(topics->broker, oldest);
    return publication_hold(publication) ? shared_message_ref(publication->shared) : NULL;
}

void replay_add(Publication *publication, Topic *topic) {
    Topics *topics = publication->topics;
    size_t size = shared_message_size_of(publication->message);
    Replay *replay = topic->replay;
    SharedMessage *shared = NULL;

    /* A replay without the newest message would mislead: let the topic keep no message instead. */
    if (size > topic->keep_bytes || (!topic->ruled && !share_has_room(topics, topic, size))) {
        replay_clear(topics, topic);
        return;
    }
    if (!replay)
        replay = topic->replay = replay_new(topics, topic->keep);
    if (replay)
        shared = hold_for_replay(publication, topic);
    if (!replay || !shared) {
        replay_clear(topics, topic);
        return;
    }
    if (topic->ruled)
        pin(topics, topic);
    *replay_at(replay, replay->n++) = shared;
    count(topics, topic, (ptrdiff_t)shared_message_size(shared));
    while (replay->bytes > topic->keep_bytes)
        shared_message_unref(topics->broker, take_first(topics, topic));
}

/* ---- the retained value ---- */

void topic_set_retained(Topics *topics, Topic *topic, SharedMessage *value) {
    if (topic->retained)
        topics->n_retained--;
    shared_message_unref(topics->broker, topic->retained);
    topic->retained = value;
    if (value)
        topics->n_retained++;
    topic_update_clock(topics, topic);
}

int retain(Publication *publication, Topic *topic) {
    Topics *topics = publication->topics;
    Broker *broker = topics->broker;
    SharedMessage *shared = NULL;

    if (publication->message->body.len > 0) {
        if (!topic->retained && topics->n_retained >= broker->limits.max_names)
            return -ENOSPC;
        if (!broker_may_store(broker, shared_message_size_of(publication->message)))
            return -ENOSPC;
        shared = publication_hold(publication);
        if (!shared)
            return -ENOMEM;
        shared_message_ref(shared);
    }
    topic_set_retained(topics, topic, shared);
    return 0;
}
