/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The records and functions that the files of the topic router share. A file calls only files above
 * it in this list:
 *
 *   tree.c            the trie of patterns, and of topic names
 *   shared-message.c  stored messages, shared by all their owners
 *   gather.c          questions and their answers
 *   backlog.c         slow subscribers: messages that wait, messages that are dropped, GAP
 *   members.c         the subscriptions and groups of a pattern
 *   retain.c          retained values, and the last messages of each topic
 *   settings.c        the rules of the configuration file
 *   table.c           the topics that the broker knows, and the patterns that match each
 *   publish.c         PUBLISH
 *   subscribe.c       SUBSCRIBE and UNSUBSCRIBE; subscriptions of lost sessions
 *   values.c          retained values that brokers share
 *   topics.c          new, free
 *
 * session_send() and session_end() only take notes for the end of the turn: no call from here
 * re-enters the router.
 */

#include "broker/sessions/session.h"
#include "broker/taps/tap.h"
#include "broker/topics/shared-message.h"
#include "broker/topics/topics.h"
#include "broker/topics/tree.h"

typedef struct Asked Asked;
typedef struct Gather Gather;
typedef struct Group Group;
typedef struct Pattern Pattern;
typedef struct Publication Publication;
typedef struct Subscription Subscription;
typedef struct Topic Topic;
typedef struct TopicRule TopicRule;

enum {
    TOPICS_KNOWN = 16384,     /* topics that are remembered although no rule keeps their messages */
    TOPIC_MATCH_MAX = 64,     /* patterns that are remembered for one topic; if more match, each
                               * publish walks the tree */
    TOPIC_KEEP = 16,          /* messages kept for replay of a topic without a rule */
    TOPIC_KEEP_BYTES = 65536, /* bytes of these messages, for one topic */
    TOPIC_KEEP_SHARE = 16, /* the messages of all topics together get a 16th of max_total_bytes */
    WAITING_MAX = 1 << 18, /* messages that wait for all subscriptions of one session */
    STARS_FEW = 3,         /* a pattern with more stars is "starry": see subscribe.c */
};

/* ---- subscribers ---- */

typedef enum SubscriberOverflow { DROP_NEWEST, DROP_OLDEST, DISCONNECT } SubscriberOverflow;

/* The subscriptions of one pattern, or of one group. Subscriptions with a session come first. */
typedef struct Members {
    Subscription **at;
    uint32_t n, cap;
    uint32_t n_attached;
} Members;

typedef struct Waiting {
    SharedMessage *shared;
    uint64_t seq, reply;
} Waiting;

/* A ring of the messages that wait for one subscription. */
typedef struct Backlog {
    Waiting *ring;
    uint32_t first, n, cap;
    uint32_t n_initial; /* retained and replayed messages, which stand at the front; OK to SUBSCRIBE
                         * follows them */
    size_t bytes;       /* bytes of the other messages */
} Backlog;

struct Subscription {
    Session *session; /* NULL: detached */
    uint64_t seq;     /* number of the last message, sent or dropped */
    uint64_t missed;  /* messages that were dropped after the last one that was sent or waits */
    Backlog backlog;
    uint64_t max_backlog;
    SubscriberOverflow overflow;
    bool metered;   /* the subscription has a credit of its own */
    int64_t credit; /* bytes; below 1: messages wait in the backlog until MORE comes */
    uint64_t at_ms; /* when it got its session, or lost it */
    bool slow;      /* in session->slow */
    bool told_slow; /* an event has reported that it misses messages; cleared when it has caught
                     * up */
    Subscription *slow_prev, *slow_next;

    Topics *topics;
    Pattern *pattern;
    Group *group;              /* NULL: a single subscription */
    uint32_t index;            /* its index among the members */
    Timer forget;              /* armed while it is detached */
    Subscription *prev, *next; /* in client->subscriptions: detached ones first */
    UT_hash_handle hh;         /* in topics->subscriptions, by client and id */
    struct {                   /* as in SubscriptionKey */
        Client *client;
        uint64_t id;
    };
};

/* The key of a subscription. Its padding must be zero, where pointers are smaller than numbers. */
typedef struct SubscriptionKey {
    Client *client;
    uint64_t id;
} SubscriptionKey;

struct Group {
    Members members;
    uint32_t turn;
    UT_hash_handle hh; /* in pattern->groups, by name */
    uint32_t name_len;
    char name[];
};

/* A pattern with at least one subscription. */
struct Pattern {
    Members members; /* single subscriptions */
    Group *groups;   /* uthash by name */
    TopicNode *node;
    Pattern *prev, *next; /* in topics->patterns */
    bool starry;
    bool of_broker; /* begins with "ferry.": it matches the broker's own topics, and no other
                     * topics */
    uint32_t len;
    char text[];
};

/* ---- topics ---- */

/* A ring of the last messages of a topic. */
typedef struct Replay {
    uint32_t first, n, cap;
    size_t bytes;
    SharedMessage *ring[];
} Replay;

/* How many messages the topics of a pattern keep. Later rules override earlier ones. */
struct TopicRule {
    TopicRule *prev, *next;
    bool has_keep, has_bytes;
    uint32_t keep;
    uint64_t keep_bytes;
    uint32_t len;
    char pattern[];
};

/* A topic that was published to. */
struct Topic {
    uint64_t generation; /* the generation of `match`, which is out of date if topics->generation
                          * differs */
    Pattern **match;
    uint32_t n_match, cap_match;
    bool recent;    /* it was published to since the hand of the clock passed last */
    bool ruled;     /* a rule of the configuration applies */
    bool in_clock;  /* in the clock: it may be forgotten */
    bool pinned;    /* it has kept messages because of a rule: it must not be forgotten */
    bool of_broker; /* begins with "ferry.": only the broker publishes on it */
    Replay *replay;
    uint32_t keep;
    uint64_t keep_bytes;
    uint64_t n_published;
    TapMark tap;
    SharedMessage *retained;
    uint8_t shard;    /* of the value, if brokers share it: see values.c; 0: they do not */
    uint64_t kept_ms; /* such a value came at this time; 0: it was there before this broker */
    TopicNode *node;
    Topic *prev, *next; /* in topics->clock */
    UT_hash_handle hh;
    uint32_t len;
    char name[];
};

struct Topics {
    Room room;
    Broker *broker;

    Topic *topics; /* uthash by name */
    Topic *last;   /* the topic that was published to last, or NULL: the next message often has the
                    * same topic */
    Topic *clock;  /* topics that may be forgotten, in the order of the clock algorithm */
    uint32_t n_clock, n_retained, n_pinned;
    uint64_t given;                  /* bit n: new subscribers get the values of shard n + 1 here */
    TopicTree names;                 /* from topic names to Topics */
    size_t replay_bytes;             /* bytes of replay that topics without a rule keep */
    TopicRule *rules, *rules_before; /* rules_before: the rules in force, while the configuration is
                                      * read again */
    bool reloading;

    TopicTree tree; /* from patterns to Patterns */
    Pattern *patterns;
    uint32_t n_starry;   /* number of starry patterns: see subscribe.c */
    uint64_t generation; /* number of patterns that were added or removed so far */
    Pattern **scratch;   /* matches of a topic with more than TOPIC_MATCH_MAX patterns */
    uint32_t n_scratch, cap_scratch;
    bool match_failed, matching_own; /* own: the topic is of_broker */

    Subscription *subscriptions; /* uthash by client and id */
    uint64_t attached_ms;        /* when a subscription got a session last */
    Session *slow;               /* utlist: sessions with slow subscriptions */

    IdMap replies; /* from the broker's number of a question to its Asked */
    uint64_t last_reply;
    Gather *ended; /* utlist: ended gathers with unanswered questions that are not forgotten yet */
};

/* One PUBLISH on its way to its subscribers. */
struct Publication {
    Topics *topics;
    Session *session; /* the publisher's */
    const Message *message;
    const void *block;     /* the block around message->body, or NULL */
    Gather *gather;        /* NULL: the message is not a question */
    SharedMessage *shared; /* the stored copy, once an owner has asked for it */
    bool owns_shared;      /* the publication holds a reference to it */
    bool tapped;           /* a tap watches the topic */
    bool answers;          /* the publisher gets its OK from this publication */
    Message out;           /* the MESSAGE for subscribers; only numbers and receiver change */
};

/* The stored copy of the message; the publication keeps a reference. NULL: memory or
 * max_total_bytes is used up. */
static inline SharedMessage *publication_hold(Publication *publication) {
    if (!publication->shared &&
        shared_message_new(&publication->shared, publication->topics->broker, publication->message,
                           publication->block) == 0)
        publication->owns_shared = true;
    return publication->shared;
}

/* ---- gather.c ---- */

/* True: this question may go to n subscribers. False: the publisher has got an error. */
bool gather_is_allowed(const Publication *publication, uint64_t n);

/* Opens the window for answers, and sets publication->gather. False: out of memory, and the
 * publisher has got an error. */
bool gather_begin(Publication *publication);

/* All subscribers have been asked. If there is no answer to wait for, the gather ends here. */
void gather_asked_all(Gather *gather);

/* A number for the question to this subscription; 0: out of memory, or its session has too many
 * unanswered questions. */
uint64_t gather_ask(Gather *gather, Subscription *subscription);

/* Forgets the question with this number, which was dropped before it was sent. */
void gather_lost(Topics *topics, uint64_t reply);
void gather_session_gone(Topics *topics, Session *session);
/* Forgets a slice of the unanswered questions of gathers that have ended. */
void gathers_go_on(Topics *topics);

/* ---- backlog.c ---- */

/* If the peer's credit covers a message, it goes to the outbox. Other messages wait with the
 * subscription: there they are counted, shared with other subscriptions, and may be dropped. Credit
 * beyond WIRE_CREDIT counts as WIRE_CREDIT. */
static inline bool session_has_room(const Session *session) {
    const Outbox *out = &session->peer->out;
    int64_t waiting = (int64_t)outbox_bytes(out);

    return waiting < out->credit && waiting < WIRE_CREDIT &&
           (waiting < WIRE_INLINE_MAX || session_may_get(session, 0));
}

/* If a subscriber does not handle its messages, the subscription's own credit is used up. Its
 * messages then wait here, while the session's other subscriptions, its calls and its answers go
 * on. */
static inline bool subscription_has_credit(const Subscription *subscription) {
    return !subscription->metered || subscription->credit > 0;
}

static inline bool subscription_has_room(const Subscription *subscription) {
    return subscription_has_credit(subscription) && session_has_room(subscription->session);
}

/* Charges a sent message with a body of body_len bytes to the subscription's credit. */
static inline void subscription_charge(Subscription *subscription, size_t body_len) {
    subscription->credit -= (int64_t)(body_len + WIRE_ITEM_COST);
}

/* The subscription has got credit: its backlog continues at the end of the turn. */
void backlog_go_on(Subscription *subscription);

/* The message with the number seq of this subscription waits, or is dropped. */
void backlog_add(Subscription *subscription, Publication *publication, uint64_t seq,
                 uint64_t reply);

/* Gives a retained or replayed message the next number, and sends it or lets it wait. If memory or
 * max_total_bytes is used up, it is dropped and counted as missed. */
void backlog_add_initial(Subscription *subscription, SharedMessage *shared);

/* True: a message of this size fits into the backlog. */
bool backlog_fits(const Subscription *subscription, size_t size);

/* Gives a stored message the next number, and sends it or lets it wait, like one that is
 * published. */
void backlog_add_stored(Subscription *subscription, SharedMessage *shared);

/* Forgets all waiting messages; returns their number. */
uint64_t backlog_clear(Subscription *subscription);

/* Takes the subscription out of session->slow. */
void backlog_not_slow(Subscription *subscription);

/* ---- members.c ---- */

/* True: the pattern has more than STARS_FEW stars, or a star too deep for the tree, so the number
 * of these patterns is limited. */
bool pattern_is_starry(const void *pattern, size_t len);

/* Adds a subscription to the pattern, and to the group if its name is not empty. -ENOMEM. */
int members_join(Topics *topics, Subscription *subscription, Span pattern, Span group);
void members_leave(Subscription *subscription);

/* The subscription has got a session, or has lost it. */
void members_attach(Subscription *subscription);
void members_detach(Subscription *subscription);

/* The next member to get a message of this size. Members with a session and with room are
 * preferred. */
Subscription *group_pick(Group *group, size_t size);

/* ---- retain.c ---- */

/* Moves the topic out of topics->clock, or back into it, after it has begun or ceased to keep
 * messages. */
void topic_update_clock(Topics *topics, Topic *topic);

/* Adds the message to the topic's replay. */
void replay_add(Publication *publication, Topic *topic);
void replay_clear(Topics *topics, Topic *topic);

/* The i-th message of the ring, the oldest first. */
SharedMessage **replay_at(Replay *replay, uint32_t i);

/* Makes the message the topic's retained value, or deletes the value. -ENOSPC, -ENOMEM: nothing has
 * changed. */
int retain(Publication *publication, Topic *topic);
/* Takes over the reference to the value; NULL: deletes the value. */
void topic_set_retained(Topics *topics, Topic *topic, SharedMessage *value);

/* ---- settings.c ---- */

/* Finds the rule for a topic, and applies it. */
void topic_rule_apply(Topics *topics, Topic *topic);
void topic_rules_free(Topics *topics);

/* ---- table.c ---- */

/* The topic of this valid name, or NULL. */
Topic *topic_find(Topics *topics, Span name);
Topic *topic_new(Topics *topics, Span name); /* NULL: out of memory */
void topics_forget_all(Topics *topics);

/* Brings the topic's list of matching patterns up to date. -ENOMEM: patterns are missing. */
int topic_match(Topics *topics, Topic *topic);

/* The patterns that match, as topic_match() has found them. Returns their number. */
static inline uint32_t topic_patterns(const Topics *topics, const Topic *topic,
                                      Pattern ***ret_patterns) {
    bool remembered = topic->generation == topics->generation;

    *ret_patterns = remembered ? topic->match : topics->scratch;
    return remembered ? topic->n_match : topics->n_scratch;
}

/* ---- publish.c ---- */

/* Publishes the broker's events of this turn. */
void topics_publish_events(Topics *topics);

/* ---- subscribe.c ---- */

void subscriptions_free(Topics *topics);
