/*
 * Publishing. A topic that was published to is remembered together with the patterns that match it,
 * so that the next message goes straight to its subscribers: one lookup by hash, no walk, nothing
 * allocated. See topic.h and topic-parts.h.
 */

#include "broker/topics/topic.h"

#include <errno.h>
#include <stdlib.h>
#include <utlist.h>

#include "broker/sessions/peer-log.h"
#include "broker/topics/topic-parts.h"
#include "rpc/wire/name.h"

int topics_new(Topics **ret, Broker *broker) {
    Topics *topics = calloc(1, sizeof(*topics));

    if (!topics)
        return -ENOMEM;
    topics->broker = broker;
    topics->generation = 1;
    if (topic_tree_init(&topics->tree) < 0 || topic_tree_init(&topics->names) < 0) {
        topics_free(topics);
        return -ENOMEM;
    }
    *ret = topics;
    return 0;
}

/* ---- topics that are known ---- */

static void topic_free(Topics *topics, Topic *topic) {
    if (topics->last == topic)
        topics->last = NULL;
    replay_clear(topics, topic);
    if (topic->retained)
        topics->n_retained--;
    topic->retained = kept_unref(topics->broker, topic->retained);
    if (topic->in_clock) {
        DL_DELETE(topics->clock, topic);
        topics->n_clock--;
    }
    if (topic->node) {
        topic_node_set(topic->node, NULL);
        topic_tree_drop(&topics->names, topic->node);
    }
    if (hash_added(topic))
        HASH_DEL(topics->topics, topic);
    free(topic->match);
    free(topic);
}

Topics *topics_free(Topics *topics) {
    Topic *topic, *next;

    if (!topics)
        return NULL;
    if (topics->tree.root)
        subscriptions_free(topics);
    HASH_ITER(hh, topics->topics, topic, next) {
        topic_free(topics, topic);
    }
    topic_rules_free(topics);
    topic_tree_deinit(&topics->tree);
    topic_tree_deinit(&topics->names);
    id_map_deinit(&topics->replies);
    free(topics->scratch);
    free(topics);
    return NULL;
}

/* Forgets topics, those first that were not published to for a while. */
static void forget_some(Topics *topics) {
    while (topics->n_clock > TOPICS_KNOWN) {
        Topic *topic = topics->clock;

        if (topic->recent) {
            topic->recent = false;
            DL_DELETE(topics->clock, topic);
            DL_APPEND(topics->clock, topic);
        } else {
            topic_free(topics, topic);
        }
    }
}

void topic_update_clock(Topics *topics, Topic *topic) {
    bool may_go = !topic->retained && !topic->pinned;

    if (may_go && !topic->in_clock) {
        DL_APPEND(topics->clock, topic);
        topics->n_clock++;
    } else if (!may_go && topic->in_clock) {
        DL_DELETE(topics->clock, topic);
        topics->n_clock--;
    }
    topic->in_clock = may_go;
}

Topic *topic_find(Topics *topics, Span name) {
    Topic *topic;

    HASH_FIND(hh, topics->topics, name.data, name.len, topic);
    return topic;
}

static Topic *topic_new(Topics *topics, Span name) {
    Topic *topic = calloc(1, sizeof(*topic) + name.len);

    if (!topic)
        return NULL;
    topic->len = (uint32_t)name.len;
    memcpy(topic->name, name.data, name.len);
    topic->recent = true; /* or the clock could take it at once */
    topic_rule_apply(topics, topic);
    HASH_ADD_KEYPTR(hh, topics->topics, topic->name, topic->len, topic);
    if (!hash_added(topic) ||
        topic_tree_put(&topics->names, topic->name, topic->len, &topic->node) < 0) {
        topic_free(topics, topic);
        return NULL;
    }
    topic_node_set(topic->node, topic);
    topic_update_clock(topics, topic);
    forget_some(topics);
    return topic;
}

/* ---- who matches ---- */

static void collect(void *value, void *ctx) {
    Topics *topics = ctx;

    if (topics->n_scratch == topics->cap_scratch) {
        uint32_t cap = topics->cap_scratch ? topics->cap_scratch * 2 : TOPIC_MATCH_MAX;
        Pattern **grown = realloc(topics->scratch, cap * sizeof(Pattern *));

        if (!grown) {
            topics->match_failed = true;
            return;
        }
        topics->scratch = grown;
        topics->cap_scratch = cap;
    }
    topics->scratch[topics->n_scratch++] = value;
}

/* -ENOMEM: somebody would be passed over. */
static int match(Topics *topics, Topic *topic) {
    topics->n_scratch = 0;
    topics->match_failed = false;
    topics->broker->work +=
        (unsigned)topic_tree_match(&topics->tree, topic->name, topic->len, collect, topics);
    if (topics->match_failed)
        return -ENOMEM;
    if (topics->n_scratch > TOPIC_MATCH_MAX) {
        /* Strangers could make this as large as topics times patterns: walked each time. */
        topic->generation = 0;
        return 0;
    }
    if (topics->n_scratch > topic->cap_match) {
        Pattern **grown = realloc(topic->match, topics->n_scratch * sizeof(Pattern *));

        if (!grown)
            return -ENOMEM;
        topic->match = grown;
        topic->cap_match = topics->n_scratch;
    }
    if (topics->n_scratch > 0)
        memcpy(topic->match, topics->scratch, topics->n_scratch * sizeof(Pattern *));
    topic->n_match = topics->n_scratch;
    topic->generation = topics->generation;
    return 0;
}

/* ---- PUBLISH ---- */

Kept *topics_hold(Topics *topics) {
    if (!topics->kept &&
        kept_new(&topics->kept, topics->broker, topics->message, topics->block) == 0)
        topics->kept_owned = true;
    return topics->kept;
}

static inline void send_one(Topics *topics, Subscription *subscription, Gather *gather) {
    Session *session = subscription->session;
    uint64_t seq = ++subscription->seq, reply = 0;

    if (__builtin_expect(gather != NULL, 0) && session)
        reply = gather_ask(gather, subscription);
    if (__builtin_expect(session && subscription->backlog.n == 0 && session_has_room(session), 1)) {
        subscription->missed = 0;
        topics->out.sub = subscription->id;
        topics->out.seq = seq;
        topics->out.reply = reply;
        topics->broker->stats.delivered++;
        session_send(session, LANE_BULK, &topics->out, topics->block);
    } else {
        backlog_add(subscription, seq, reply);
    }
}

static void deliver_to(Topics *topics, Pattern *pattern, Gather *gather) {
    Group *group;

    topics->broker->work += pattern->members.n + HASH_COUNT(pattern->groups);
    for (uint32_t i = 0; i < pattern->members.n; i++)
        send_one(topics, pattern->members.at[i], gather);
    for (group = pattern->groups; group; group = group->hh.next)
        send_one(topics, group_pick(group, kept_size_of(topics->message)), gather);
}

void topics_deliver(Topics *topics, Topic *topic, Gather *gather) {
    const Message *message = topics->message;
    bool remembered = topic->generation == topics->generation;
    Pattern **patterns = remembered ? topic->match : topics->scratch;
    uint32_t n = remembered ? topic->n_match : topics->n_scratch;

    topics->out.op = OP_MESSAGE;
    topics->out.name = message->name;
    topics->out.headers = message->headers;
    topics->out.body = message->body;
    topics->out.body_transfer = 0;
    topics->out.passed = message->passed;
    for (uint32_t i = 0; i < n; i++)
        deliver_to(topics, patterns[i], gather);
}

static void refuse(Session *session, const Message *message, const char *type, const char *why) {
    session->n_dropped++;
    session_error(session, message->id, type, "cannot publish to '%s': %s", shown(message->name),
                  why);
}

/* The topic is not known yet. NULL: it was refused, and that was answered. */
static Topic *topic_first_seen(Topics *topics, Session *session, const Message *message) {
    const char *problem = name_problem(message->name.data, message->name.len);
    Topic *topic;

    if (problem && message->id == 0) {
        session_fault(session, "the topic '%s' is no name: %s", shown(message->name), problem);
        return NULL;
    }
    if (problem) {
        refuse(session, message, "ferry.InvalidArgument", problem);
        return NULL;
    }
    if (message->name.len >= 6 && memcmp(message->name.data, "ferry.", 6) == 0) {
        refuse(session, message, "ferry.PermissionDenied",
               "names that begin with 'ferry.' belong to the broker");
        return NULL;
    }
    topic = topic_new(topics, message->name);
    if (!topic)
        refuse(session, message, "ferry.Internal", "the broker is out of memory");
    return topic;
}

static void publish_plain(Topics *topics, Session *session, Topic *topic) {
    if (topic->keep > 0)
        replay_add(topics, topic);
    topics_deliver(topics, topic, NULL);
    session_ok(session, LANE_CALLS, topics->message->id, 0);
}

/* Retained values and questions. What is refused has no effect at all. */
static void publish_flagged(Topics *topics, Session *session, Topic *topic) {
    const Message *message = topics->message;
    bool question = message->flags & PUBLISH_GATHER;
    int r = 0;

    if (question && !gather_is_allowed(topics, session, topic))
        return;
    if (message->flags & PUBLISH_RETAIN)
        r = retain(topics, topic);
    if (r < 0) {
        if (message->id == 0)
            peer_log(session->broker, LOG_LEVEL_WARNING,
                     "a value cannot be retained, dropping it: topic='%s' session=%u",
                     shown(message->name), session->number);
        refuse(session, message, r == -ENOSPC ? "ferry.Full" : "ferry.Internal",
               r == -ENOSPC ? "no room for another retained value" : "the broker is out of memory");
        return;
    }
    if (question)
        gather_publish(topics, session, topic);
    else
        publish_plain(topics, session, topic);
}

void topics_publish(Topics *topics, Session *session, const Message *message, const void *block) {
    Topic *topic = topics->last;

    if (!topic || topic->len != message->name.len ||
        memcmp(topic->name, message->name.data, topic->len) != 0) {
        topic = topic_find(topics, message->name);
        if (!topic)
            topic = topic_first_seen(topics, session, message);
        if (!topic)
            return;
        topics->last = topic;
    }
    if (__builtin_expect(topic->generation != topics->generation, 0) && match(topics, topic) < 0) {
        refuse(session, message, "ferry.Internal", "the broker is out of memory");
        return;
    }
    topic->recent = true;
    topic->n_published++;
    topics->broker->stats.published++;
    topics->message = message;
    topics->block = block;
    if (message->flags == 0)
        publish_plain(topics, session, topic);
    else
        publish_flagged(topics, session, topic);

    if (topics->kept_owned)
        kept_unref(topics->broker, topics->kept);
    topics->kept = NULL;
    topics->kept_owned = false;
}
