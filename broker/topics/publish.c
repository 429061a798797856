/* SPDX-License-Identifier: Apache-2.0 */

/* PUBLISH: a message goes to the subscribers whose patterns match, and becomes one of the messages
 * that its topic keeps. See topics.h. */

#include <errno.h>

#include "broker/core/peer-log.h"
#include "broker/events/events.h"
#include "broker/sessions/quota.h"
#include "broker/topics/topics-private.h"
#include "rpc/wire/name.h"

static void tap_topic(const Broker *broker, bool sent, Op op, const Session *session,
                      const Publication *publication) {
    const Message *message = publication->message;

    taps_record(broker->taps, &(TapEvent){.kind = TAP_TOPICS,
                                          .sent = sent,
                                          .op = op,
                                          .session = session,
                                          .id = sent ? 0 : message->id,
                                          .name = message->name,
                                          .body = message->body});
}

static inline void send_one(Publication *publication, Subscription *subscription) {
    Session *session = subscription->session;
    uint64_t seq = ++subscription->seq, reply = 0;

    if (__builtin_expect(publication->gather != NULL, 0) && session)
        reply = gather_ask(publication->gather, subscription);
    if (__builtin_expect(
            session && subscription->backlog.n == 0 && subscription_has_room(subscription), 1)) {
        subscription->missed = 0;
        subscription_charge(subscription, publication->message->body.len);
        publication->out.message.sub = subscription->id;
        publication->out.message.seq = seq;
        publication->out.message.reply = reply;
        publication->topics->broker->stats.delivered++;
        if (__builtin_expect(publication->tapped, 0))
            tap_topic(session->broker, true, OP_MESSAGE, session, publication);
        session_send(session, LANE_BULK, &publication->out, publication->block);
    } else {
        backlog_add(subscription, publication, seq, reply);
    }
}

static void deliver_to(Publication *publication, Pattern *pattern) {
    Group *group;

    publication->topics->broker->turn.work += pattern->members.n + HASH_COUNT(pattern->groups);
    for (uint32_t i = 0; i < pattern->members.n; i++)
        send_one(publication, pattern->members.at[i]);
    for (group = pattern->groups; group; group = group->hh.next)
        send_one(publication, group_pick(group, shared_message_size_of(publication->message)));
}

static void deliver(Publication *publication, const Topic *topic) {
    Pattern **patterns;
    uint32_t n = topic_patterns(publication->topics, topic, &patterns);

    message_forward_head(&publication->out, OP_MESSAGE, 0, publication->message);
    for (uint32_t i = 0; i < n; i++)
        deliver_to(publication, patterns[i]);
}

static void refuse(Session *session, const Message *message, const char *type, const char *why) {
    session_error(session, message->id, type, "cannot publish to '%s': %s", shown(message->name),
                  why);
}

/* Makes a topic that is new, or refuses the name. NULL: the publisher has got an error. */
static Topic *topic_first_seen(Topics *topics, Session *session, const Message *message) {
    const char *problem = name_problem(message->name.data, message->name.len);
    Topic *topic;

    if (problem) {
        refuse(session, message, "ferry.InvalidArgument", problem);
        return NULL;
    }
    if (name_is_reserved(message->name.data, message->name.len)) {
        refuse(session, message, "ferry.PermissionDenied",
               "names that begin with 'ferry.' belong to the broker");
        return NULL;
    }
    topic = topic_new(topics, message->name);
    if (!topic)
        refuse(session, message, "ferry.OutOfMemory", "the broker is out of memory");
    return topic;
}

static void publish_plain(Publication *publication, Topic *topic) {
    if (topic->keep > 0)
        replay_add(publication, topic);
    deliver(publication, topic);
    if (publication->answers)
        session_ok(publication->session, LANE_CALLS, publication->message->id, 0);
}

/* The number of subscribers that a question would go to. */
static uint64_t n_receivers(const Topics *topics, const Topic *topic) {
    Pattern **patterns;
    uint32_t n = topic_patterns(topics, topic, &patterns);
    uint64_t sum = 0;

    for (uint32_t i = 0; i < n; i++)
        sum += patterns[i]->members.n_attached + HASH_COUNT(patterns[i]->groups);
    return sum;
}

static void ask(Publication *publication, Topic *topic) {
    if (!gather_begin(publication))
        return;
    deliver(publication, topic);
    gather_asked_all(publication->gather);
}

static void refuse_retained(const Publication *publication, int r) {
    const Message *message = publication->message;
    Session *session = publication->session;

    refuse(session, message, r == -ENOSPC ? "ferry.Full" : "ferry.OutOfMemory",
           r == -ENOSPC ? "no room for another retained value" : "the broker is out of memory");
}

/* Publishes a retained value or a question. False: it was refused and has no effect at all. */
static bool publish_flagged(Publication *publication, Topic *topic) {
    const Message *message = publication->message;
    bool question = message->publish.flags & PUBLISH_GATHER;
    int r = 0;

    if (question && !gather_is_allowed(publication, n_receivers(publication->topics, topic)))
        return false;
    if (message->publish.flags & PUBLISH_RETAIN)
        r = retain(publication, topic);
    if (r < 0)
        refuse_retained(publication, r);
    else if (question)
        ask(publication, topic);
    else
        publish_plain(publication, topic);
    return r == 0;
}

static inline bool publish(Topics *topics, Session *session, const Message *message,
                           const void *block, bool answers) {
    Topic *topic = topics->last;
    Publication publication;
    bool is_published = true;

    if (quota_refuses(session, message->id, QUOTA_PUBLISH, message->body.len))
        return false;
    if (!topic || topic->len != message->name.len ||
        memcmp(topic->name, message->name.data, topic->len) != 0) {
        topic = topic_find(topics, message->name);
        if (!topic || topic->of_broker)
            topic = topic_first_seen(topics, session, message);
        if (!topic)
            return false;
        topics->last = topic;
    }
    if (__builtin_expect(topic->generation != topics->generation, 0) &&
        topic_match(topics, topic) < 0) {
        refuse(session, message, "ferry.OutOfMemory", "the broker is out of memory");
        return false;
    }
    topic->recent = true;
    topic->n_published++;
    topics->broker->stats.published++;
    /* Set single fields: `out` is large, and delivery sets its other fields before they are
     * read. */
    publication.topics = topics;
    publication.session = session;
    publication.message = message;
    publication.block = block;
    publication.gather = NULL;
    publication.shared = NULL;
    publication.owns_shared = false;
    publication.answers = answers;
    publication.tapped = tap_watches(topics->broker, TAP_TOPICS, &topic->tap, message->name);
    if (__builtin_expect(publication.tapped, 0))
        tap_topic(topics->broker, false, OP_PUBLISH, session, &publication);
    if (message->publish.flags == 0)
        publish_plain(&publication, topic);
    else
        is_published = publish_flagged(&publication, topic);
    if (publication.owns_shared)
        shared_message_unref(topics->broker, publication.shared);
    return is_published;
}

/* ---- the broker's own topics ---- */

static void publish_event(void *ctx, Span name, Span body) {
    Topics *topics = ctx;
    Topic *topic = topic_find(topics, name);
    Message message = {.op = OP_PUBLISH, .name = name, .body = body};
    Publication publication = {.topics = topics, .message = &message};

    if (!topic)
        topic = topic_new(topics, name);
    if (!topic || (topic->generation != topics->generation && topic_match(topics, topic) < 0))
        return;
    topic->recent = true;
    topic->n_published++;
    deliver(&publication, topic);
    if (publication.owns_shared)
        shared_message_unref(topics->broker, publication.shared);
}

void topics_publish_events(Topics *topics) {
    if (events_wait(topics->broker))
        events_flush(topics->broker, publish_event, topics);
}

/* ---- for sessions ---- */

void topics_publish(Topics *topics, Session *session, const Message *message, const void *block) {
    publish(topics, session, message, block, true);
}

bool topics_publish_unanswered(Topics *topics, Session *session, const Message *message,
                               const void *block) {
    return publish(topics, session, message, block, false);
}
