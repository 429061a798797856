/*
 * What a topic keeps for those who subscribe later: its retained value, and its last messages.
 *
 * The last 16 messages of each topic are kept without being asked for (64 KiB a topic at most, a
 * 16th of max_total_bytes for all), because "what came just before I looked?" is asked after the
 * fact. It costs a copy of each message into memory that is there already. A rule in the
 * configuration keeps more, or nothing.
 */

#include <errno.h>
#include <stdlib.h>
#include <utlist.h>

#include "broker/topics/topic-parts.h"
#include "rpc/wire/name.h"

/* ---- the last messages ---- */

static Kept **slot(Replay *replay, uint32_t i) {
    i += replay->first;
    return &replay->ring[i < replay->cap ? i : i - replay->cap];
}

static void count(Topics *topics, Topic *topic, ptrdiff_t bytes) {
    topic->replay->bytes += (size_t)bytes;
    if (!topic->ruled)
        topics->replay_bytes += (size_t)bytes;
}

/* Takes the oldest message out; it is the caller's. */
static Kept *take_first(Topics *topics, Topic *topic) {
    Replay *replay = topic->replay;
    Kept *kept = *slot(replay, 0);

    count(topics, topic, -(ptrdiff_t)kept_size(kept));
    replay->first = replay->first + 1 < replay->cap ? replay->first + 1 : 0;
    replay->n--;
    return kept;
}

void replay_clear(Topics *topics, Topic *topic) {
    while (topic->replay && topic->replay->n > 0)
        kept_unref(topics->broker, take_first(topics, topic));
    free(topic->replay);
    topic->replay = NULL;
    if (topic->pinned) {
        topic->pinned = false;
        topics->n_pinned--;
        topic_update_clock(topics, topic);
    }
}

/* What a rule has kept is not forgotten because other topics come along; up to max_names of them.
 */
static void pin(Topics *topics, Topic *topic) {
    if (topic->pinned || topics->n_pinned >= topics->broker->limits.max_names)
        return;
    topic->pinned = true;
    topics->n_pinned++;
    topic_update_clock(topics, topic);
}

/* Room for one more message of this size, or false. All topics without a rule share; those that
 * were not published to for longest give first. */
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

static Replay *replay_new(uint32_t cap) {
    Replay *replay = calloc(1, sizeof(*replay) + cap * sizeof(Kept *));

    if (replay)
        replay->cap = cap;
    return replay;
}

/* The message as it is kept: in the memory of the one that has to go, if that is possible. */
static Kept *hold_for_replay(Topics *topics, Topic *topic) {
    Kept *oldest = NULL;

    if (topic->replay->n > 0 && topic->replay->n == topic->replay->cap)
        oldest = take_first(topics, topic);
    if (oldest && !topics->kept && kept_reuse(oldest, topics->message, topics->block)) {
        topics->kept = oldest; /* lent by the ring from now on */
        return oldest;
    }
    kept_unref(topics->broker, oldest);
    return topics_hold(topics) ? kept_ref(topics->kept) : NULL;
}

void replay_add(Topics *topics, Topic *topic) {
    size_t size = kept_size_of(topics->message);
    Replay *replay = topic->replay;
    Kept *kept = NULL;

    /* Older messages without the newest would be a lie: rather none. */
    if (size > topic->keep_bytes || (!topic->ruled && !share_has_room(topics, topic, size))) {
        replay_clear(topics, topic);
        return;
    }
    if (!replay)
        replay = topic->replay = replay_new(topic->keep);
    if (replay)
        kept = hold_for_replay(topics, topic);
    if (!replay || !kept) {
        replay_clear(topics, topic);
        return;
    }
    if (topic->ruled)
        pin(topics, topic);
    *slot(replay, replay->n++) = kept;
    count(topics, topic, (ptrdiff_t)kept_size(kept));
    while (replay->bytes > topic->keep_bytes)
        kept_unref(topics->broker, take_first(topics, topic));
}

/* ---- the retained value ---- */

int retain(Topics *topics, Topic *topic) {
    Broker *broker = topics->broker;
    Kept *kept = NULL;

    if (topics->message->body.len > 0) {
        if (!topic->retained && topics->n_retained >= broker->limits.max_names)
            return -ENOSPC;
        if (broker->stored_bytes + kept_size_of(topics->message) > broker->limits.max_total_bytes)
            return -ENOSPC;
        kept = topics_hold(topics);
        if (!kept)
            return -ENOMEM;
        kept_ref(kept);
    }
    if (topic->retained)
        topics->n_retained--;
    kept_unref(broker, topic->retained);
    topic->retained = kept;
    if (kept)
        topics->n_retained++;
    topic_update_clock(topics, topic);
    return 0;
}

/* ---- to those who subscribe ---- */

typedef struct Sending {
    Subscription *to;
    bool retained;
    uint64_t last;
} Sending;

static void send_of(void *value, void *ctx) {
    Topic *topic = value;
    Sending *sending = ctx;
    Replay *replay = topic->replay;
    uint32_t n = replay ? replay->n : 0, from = sending->last < n ? n - (uint32_t)sending->last : 0;
    bool again = false;

    /* A retained value that is among the last messages as well comes once, in its place. */
    for (uint32_t i = from; i < n; i++)
        again |= *slot(replay, i) == topic->retained;
    if (topic->retained && sending->retained && !again)
        backlog_add_initial(sending->to, topic->retained);
    for (uint32_t i = from; i < n; i++)
        backlog_add_initial(sending->to, *slot(replay, i));
}

size_t replay_send(Subscription *subscription, bool retained, uint64_t last) {
    const Pattern *pattern = subscription->pattern;
    Topics *topics = subscription->topics;
    Sending sending = {subscription, retained, last};

    if (pattern_is_wild(pattern->text, pattern->len))
        return topic_tree_find(&topics->names, pattern->text, pattern->len, send_of, &sending);

    Topic *topic = topic_find(topics, span_of(pattern->text, pattern->len));

    if (topic)
        send_of(topic, &sending);
    return 1;
}
