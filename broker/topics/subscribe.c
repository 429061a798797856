/* SPDX-License-Identifier: Apache-2.0 */

/*
 * SUBSCRIBE and UNSUBSCRIBE. When a session is lost, its subscriptions stay with the client,
 * detached, and count the messages that they miss, until the client resumes them or client_memory
 * has passed.
 */

#include <errno.h>
#include <stdlib.h>
#include <utlist.h>

#include "base/container.h"
#include "broker/sessions/quota.h"
#include "broker/topics/topics-private.h"
#include "rpc/wire/name.h"

/*
 * A new wildcard subscription looks through all topics that keep messages: up to a hundred
 * thousand. A session may use a fifth of the broker's time for that, and may be ahead of it by a
 * million topics (50 ns each); after that it gets ferry.Overloaded.
 */
enum { WALK_US_PER_1000 = 250, WALK_AHEAD_US = 250000 };

/*
 * One topic can match many patterns that differ only in the places of their stars: 8192 patterns of
 * 13 tokens, each `a` or `*`. Patterns with up to STARS_FEW stars cannot become so many. Patterns
 * with more stars, or with a star too deep for the tree, are "starry": a client may have STARRY_MAX
 * of them, and all clients together may have STARRY_ALL_MAX different ones.
 */
enum { STARRY_MAX = 128, STARRY_ALL_MAX = 1024 };

/* The broker notices in this time that a session is lost. */
enum { NOTICED_MS = 10000 };

typedef struct Wanted {
    Span group;
    uint64_t last, resume, seen, backlog, credit;
    bool has_seen;
    SubscriberOverflow overflow;
    const char *problem; /* NULL: the options are valid */
} Wanted;

static const char *read_overflow(Span text, SubscriberOverflow *ret) {
    static const char *const names[] = {"drop-newest", "drop-oldest", "disconnect"};

    for (unsigned i = 0; i < 3; i++)
        if (span_is(text, names[i])) {
            *ret = (SubscriberOverflow)i;
            return NULL;
        }
    return "'overflow' must be drop-newest, drop-oldest or disconnect";
}

static Wanted read_options(Span options, uint64_t max_backlog) {
    Wanted wanted = {.backlog = max_backlog};
    uint32_t left;
    Reader pairs = pairs_of(options, &left);
    Span key;

    while (pairs_next(&pairs, &left, &key) && !wanted.problem) {
        if (reader_nil(&pairs)) {
            continue; /* nil: the option is missing */
        } else if (span_is(key, "group")) {
            wanted.group = reader_str(&pairs);
            if (!name_is_valid(wanted.group.data, wanted.group.len))
                wanted.problem = "'group' must be a valid name";
        } else if (span_is(key, "last")) {
            wanted.last = reader_uint(&pairs);
        } else if (span_is(key, "resume")) {
            wanted.resume = reader_uint(&pairs);
        } else if (span_is(key, "seen")) {
            wanted.seen = reader_uint(&pairs);
            wanted.has_seen = true;
        } else if (span_is(key, "overflow")) {
            wanted.problem = read_overflow(reader_str(&pairs), &wanted.overflow);
        } else if (span_is(key, "backlog")) {
            wanted.backlog = reader_uint(&pairs);
        } else if (span_is(key, "credit")) {
            wanted.credit = reader_uint(&pairs);
            if (wanted.credit > WIRE_CREDIT_MAX)
                wanted.problem = "'credit' must be at most 64 MiB";
        } else {
            reader_value(&pairs);
        }
    }
    if (pairs.problem)
        wanted.problem = "an option has a value of the wrong type";
    if (wanted.backlog > max_backlog)
        wanted.backlog = max_backlog;
    return wanted;
}

/* ---- one subscription ---- */

static Subscription *find(Topics *topics, Client *client, uint64_t id) {
    SubscriptionKey key;
    Subscription *subscription;

    memset(&key, 0, sizeof(key));
    key.client = client;
    key.id = id;
    HASH_FIND(hh, topics->subscriptions, &key, sizeof(key), subscription);
    return subscription;
}

static void index_by_id(Topics *topics, Subscription *subscription, uint64_t id) {
    subscription->id = id;
    HASH_ADD_KEYPTR(hh, topics->subscriptions, &subscription->client, sizeof(SubscriptionKey),
                    subscription);
}

/* The bytes that are counted for one more subscription: the worst case, in which it shares no
 * pattern. */
static uint64_t cost(size_t pattern_len, size_t group_len) {
    return sizeof(Subscription) + sizeof(Pattern) + topic_tree_cost(pattern_len) + pattern_len +
           2 * sizeof(Subscription *) /* its entry among the members */ +
           (group_len > 0 ? sizeof(Group) + group_len : 0);
}

static uint64_t cost_of(const Subscription *subscription) {
    return cost(subscription->pattern->len,
                subscription->group ? subscription->group->name_len : 0);
}

static Subscription *subscription_free(Subscription *subscription) {
    Topics *topics = subscription->topics;
    Client *client = subscription->client;

    backlog_not_slow(subscription);
    backlog_clear(subscription);
    timer_disarm(&topics->broker->timers, &subscription->forget);
    topics->broker->budget.bytes[BUDGET_TOPICS] -= cost_of(subscription);
    client->n_starry -= pattern_is_starry(subscription->pattern->text, subscription->pattern->len);
    members_leave(subscription);
    if (hash_added(subscription))
        HASH_DEL(topics->subscriptions, subscription);
    DL_DELETE(client->subscriptions, subscription);
    client->n_subscriptions--;
    free(subscription);
    return NULL;
}

static Subscription *subscription_new(Topics *topics, Session *session, const Message *message,
                                      const Wanted *wanted) {
    Subscription *subscription = calloc(1, sizeof(*subscription));
    Client *client = session->client;

    if (!subscription)
        return NULL;
    subscription->topics = topics;
    subscription->client = client;
    if (members_join(topics, subscription, message->name, wanted->group) < 0) {
        free(subscription);
        return NULL;
    }
    topics->broker->budget.bytes[BUDGET_TOPICS] += cost_of(subscription);
    DL_APPEND(client->subscriptions, subscription);
    client->n_subscriptions++;
    client->n_starry += pattern_is_starry(message->name.data, message->name.len);
    index_by_id(topics, subscription, message->id);
    return hash_added(subscription) ? subscription : subscription_free(subscription);
}

void subscriptions_free(Topics *topics) {
    Subscription *subscription, *next;

    HASH_ITER(hh, topics->subscriptions, subscription, next) {
        subscription_free(subscription);
    }
}

static void on_forget(Timer *timer, void *ctx) {
    (void)ctx;
    subscription_free(container_of(timer, Subscription, forget));
}

/* ---- attached and detached ---- */

/* Attached subscriptions stand behind detached ones in the client's list, so the first subscription
 * tells whether there are detached ones. */
static void attach(Subscription *subscription, Session *session, const Wanted *wanted) {
    Client *client = subscription->client;

    timer_disarm(&subscription->topics->broker->timers, &subscription->forget);
    subscription->session = session;
    subscription->at_ms = subscription->topics->attached_ms = session->broker->now_ms;
    subscription->overflow = wanted->overflow;
    subscription->max_backlog = wanted->backlog;
    subscription->metered = wanted->credit > 0;
    subscription->credit = (int64_t)wanted->credit;
    members_attach(subscription);
    DL_DELETE(client->subscriptions, subscription);
    DL_APPEND(client->subscriptions, subscription);
}

static void detach(Subscription *subscription) {
    Topics *topics = subscription->topics;
    Broker *broker = topics->broker;
    uint64_t n;

    backlog_not_slow(subscription);
    n = backlog_clear(subscription);
    subscription->missed += n;
    broker->stats.dropped += n;
    members_detach(subscription);
    subscription->told_slow = false;
    subscription->session = NULL;
    subscription->at_ms = broker->now_ms;
    timer_arm(&broker->timers, &subscription->forget,
              broker->now_ms + broker->limits.client_memory_ms, on_forget);
}

void topics_session_gone(Topics *topics, Session *session) {
    Subscription *subscription;

    gather_session_gone(topics, session);
    DL_FOREACH(session->client->subscriptions, subscription) {
        if (subscription->session == session)
            detach(subscription);
    }
}

void topics_client_gone(Topics *topics, Client *client) {
    (void)topics;
    while (client->subscriptions)
        subscription_free(client->subscriptions);
}

/* ---- retained values and replay ---- */

/* Which retained values a subscription gets when it begins. */
typedef struct WantedValues {
    bool some;
    /* Of the values that another broker gives to new subscribers, it gets the ones that came at
     * this time or later. */
    uint64_t since_ms;
} WantedValues;

typedef struct Sending {
    Subscription *to;
    WantedValues values;
    uint64_t last;
} Sending;

/* A topic whose value brokers share gives it to new subscribers at one broker. A subscriber that
 * comes back to another one gets what it may have missed there. */
static bool gives_value(const Sending *sending, const Topic *topic) {
    if (!topic->retained || !sending->values.some)
        return false;
    return topic->shard == 0 || sending->to->topics->given >> (topic->shard - 1) & 1 ||
           (topic->kept_ms > 0 && topic->kept_ms >= sending->values.since_ms);
}

static void send_of(void *value, void *ctx) {
    Topic *topic = value;
    Sending *sending = ctx;
    Replay *replay = topic->replay;
    uint32_t n = replay ? replay->n : 0, from = sending->last < n ? n - (uint32_t)sending->last : 0;
    bool again = false;

    /* If the retained value is also among the last messages, it is sent once, in its place among
     * them. */
    for (uint32_t i = from; i < n; i++)
        again |= *replay_at(replay, i) == topic->retained;
    if (!again && gives_value(sending, topic))
        backlog_add_initial(sending->to, topic->retained);
    for (uint32_t i = from; i < n; i++)
        backlog_add_initial(sending->to, *replay_at(replay, i));
}

/* Sends retained values, and the last n messages of each topic, to a new subscription. Returns how
 * many topics and parts of topic names were examined. */
static size_t replay_send(Subscription *subscription, WantedValues values, uint64_t last) {
    const Pattern *pattern = subscription->pattern;
    Topics *topics = subscription->topics;
    Sending sending = {subscription, values, last};

    if (pattern_is_wild(pattern->text, pattern->len))
        return topic_tree_find(&topics->names, pattern->text, pattern->len, send_of, &sending);

    Topic *topic = topic_find(topics, span_of(pattern->text, pattern->len));

    if (topic)
        send_of(topic, &sending);
    return 1;
}

/* ---- SUBSCRIBE ---- */

static void send_gap(Subscription *subscription, uint64_t count) {
    session_send(subscription->session, LANE_BULK,
                 &(Message){.op = OP_GAP, .gap = {subscription->id, count}}, NULL);
}

static bool may_walk(const Session *session) {
    return session->walked_us <= session->broker->now_ms * 1000 + WALK_AHEAD_US;
}

static void pay_for_walk(Session *session, size_t n) {
    uint64_t now_us = session->broker->now_ms * 1000;

    session->broker->turn.work += (unsigned)n;
    if (session->walked_us < now_us)
        session->walked_us = now_us;
    session->walked_us += n * WALK_US_PER_1000 / 1000;
}

/* OK must come after retained and replayed messages: now, or when the last of them has left the
 * backlog. */
static void begin(Subscription *subscription, WantedValues values, uint64_t last) {
    /* A member of the group has handled the retained value before, so new members do not get it. */
    if (subscription->group)
        values.some = false;
    if (values.some || last > 0)
        pay_for_walk(subscription->session, replay_send(subscription, values, last));
    if (subscription->backlog.n_initial == 0)
        session_ok(subscription->session, LANE_BULK, subscription->id, subscription->seq);
}

static bool is_the_same(const Subscription *subscription, const Message *message,
                        const Wanted *wanted) {
    const Pattern *pattern = subscription->pattern;
    Span group = subscription->group
                     ? span_of(subscription->group->name, subscription->group->name_len)
                     : (Span){NULL, 0};

    return pattern->len == message->name.len &&
           memcmp(pattern->text, message->name.data, pattern->len) == 0 &&
           group.len == wanted->group.len &&
           (group.len == 0 || memcmp(group.data, wanted->group.data, group.len) == 0);
}

static void resume(Subscription *subscription, Session *session, const Message *message,
                   const Wanted *wanted) {
    Topics *topics = subscription->topics;
    /* Messages that were sent after `seen` may have been lost with the connection. */
    uint64_t missed = wanted->seen < subscription->seq ? subscription->seq - wanted->seen : 0;
    uint64_t lost_ms = subscription->at_ms;

    /* The client has received no message of this subscription, so it cannot know whether the
     * numbers continue those of an earlier subscription or begin again. */
    if (!wanted->has_seen) {
        subscription->seq = 0;
        missed = GAP_UNKNOWN;
    }

    HASH_DEL(topics->subscriptions, subscription);
    index_by_id(topics, subscription, message->id);
    if (!hash_added(subscription)) {
        subscription_free(subscription);
        session_error(session, message->id, "ferry.OutOfMemory", "the broker is out of memory");
        return;
    }
    attach(subscription, session, wanted);
    subscription->missed = 0;
    if (missed > 0)
        send_gap(subscription, missed);
    /* The subscriber has missed messages, so its value may be outdated: it gets the retained
     * value. */
    begin(subscription, (WantedValues){missed > 0, lost_ms > NOTICED_MS ? lost_ms - NOTICED_MS : 0},
          0);
}

/* False: the limits refuse the subscription, and the client has got an error. */
static bool has_room_for(Topics *topics, Session *session, const Message *message,
                         const Wanted *wanted) {
    Broker *broker = topics->broker;
    Client *client = session->client;

    if (client->n_subscriptions >= broker->limits.max_subscriptions && client->subscriptions &&
        !client->subscriptions->session)
        subscription_free(client->subscriptions);
    if (client->n_subscriptions >= broker->limits.max_subscriptions) {
        session_error(session, message->id, "ferry.Full",
                      "the session already has %u subscriptions (max_subscriptions)",
                      broker->limits.max_subscriptions);
        return false;
    }
    if (pattern_is_starry(message->name.data, message->name.len)) {
        if (client->n_starry >= STARRY_MAX) {
            session_error(
                session, message->id, "ferry.Full",
                "the session already has %d patterns with more than %d stars, or with a star "
                "after %d tokens",
                STARRY_MAX, STARS_FEW, TOPIC_TREE_LEVELS);
            return false;
        }
        if (topics->n_starry >= STARRY_ALL_MAX &&
            !topic_tree_get(&topics->tree, message->name.data, message->name.len)) {
            session_error(
                session, message->id, "ferry.Full",
                "the sessions already have %d different patterns with more than %d stars, "
                "or with a star after %d tokens",
                STARRY_ALL_MAX, STARS_FEW, TOPIC_TREE_LEVELS);
            return false;
        }
    }
    if (!broker_may_store(broker, cost(message->name.len, wanted->group.len))) {
        session_error(session, message->id, "ferry.Full",
                      "the broker is full (max_total_bytes): try again later");
        return false;
    }
    return true;
}

static bool is_allowed(Topics *topics, Session *session, const Message *message,
                       const Wanted *wanted) {
    const char *problem = pattern_problem(message->name.data, message->name.len);

    if (message->id == 0)
        session_error(session, 0, "ferry.InvalidArgument",
                      "SUBSCRIBE needs an id: its messages carry it");
    else if (topics->broker->draining)
        session_error(session, message->id, "ferry.Draining", "the broker is shutting down");
    else if (problem)
        session_error(session, message->id, "ferry.InvalidArgument",
                      "SUBSCRIBE: '%s' is not a valid pattern: %s", shown(message->name), problem);
    else if (pattern_is_wild(message->name.data, message->name.len) && !may_walk(session))
        session_error(session, message->id, "ferry.Overloaded",
                      "too many new wildcard subscriptions for so many topics: try again later");
    else if (wanted->problem)
        session_error(session, message->id, "ferry.InvalidArgument", "cannot subscribe to '%s': %s",
                      shown(message->name), wanted->problem);
    else
        return true;
    return false;
}

bool topics_is_costly(const Topics *topics, Span pattern) {
    enum { MANY = 500 };

    return topics->names.n_nodes > MANY && pattern_is_wild(pattern.data, pattern.len);
}

void topics_subscribe(Topics *topics, Session *session, const Message *message) {
    uint64_t max_backlog = topics->broker->limits.max_subscriber_bytes;
    Wanted wanted = read_options(message->subscribe.options, max_backlog);
    Subscription *before, *same, *subscription;

    if (!is_allowed(topics, session, message, &wanted))
        return;
    same = find(topics, session->client, message->id);
    if (same && same->session) {
        session_fault(session, "SUBSCRIBE: another subscription of this client has the id %llu",
                      (unsigned long long)same->id);
        return;
    }
    before = wanted.resume ? find(topics, session->client, wanted.resume) : NULL;
    if (before && before->session) {
        session_error(
            session, message->id, "ferry.InvalidArgument",
            "SUBSCRIBE: subscription %llu cannot be resumed, because a session still has it",
            (unsigned long long)before->id);
        return;
    }
    /* A detached subscription with the same id ends, unless this SUBSCRIBE resumes it. */
    if (same && same != before)
        subscription_free(same);
    if (before && is_the_same(before, message, &wanted)) {
        resume(before, session, message, &wanted);
        return;
    }
    if (before && before == same)
        subscription_free(before);

    if (quota_refuses(session, message->id, QUOTA_SUBSCRIBE, 0) ||
        !has_room_for(topics, session, message, &wanted))
        return;
    subscription = subscription_new(topics, session, message, &wanted);
    if (!subscription) {
        session_error(session, message->id, "ferry.OutOfMemory", "the broker is out of memory");
        return;
    }
    attach(subscription, session, &wanted);
    if (wanted.resume)
        send_gap(subscription, GAP_UNKNOWN);
    begin(subscription, (WantedValues){true, wanted.resume ? 0 : UINT64_MAX}, wanted.last);
}

void topics_unsubscribe(Topics *topics, Session *session, const Message *message) {
    Subscription *subscription = find(topics, session->client, message->unsubscribe.sub);

    if (!subscription) {
        session_error(session, message->id, "ferry.NotFound",
                      "UNSUBSCRIBE: this client has no subscription %llu",
                      (unsigned long long)message->unsubscribe.sub);
        return;
    }
    /* SUBSCRIBE has no OK yet: send it. */
    if (subscription->backlog.n_initial > 0)
        session_ok(session, LANE_BULK, subscription->id, subscription->seq);
    subscription_free(subscription);
    session_ok(session, LANE_BULK, message->id, 0);
}

bool topics_more(Topics *topics, Session *session, const Message *message) {
    Subscription *subscription = find(topics, session->client, message->id);

    if (!subscription || subscription->session != session)
        return false;
    if (!subscription->metered)
        return true;
    subscription->credit = credit_add(subscription->credit, message->more.bytes);
    backlog_go_on(subscription);
    return true;
}
