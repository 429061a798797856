#pragma once

/*
 * What the files of the topic router share.
 *
 *   topic.c        publishing: topics that are known, and who matches them
 *   tree.c   the trie          kept.c      messages that are held
 *   subscribe.c    SUBSCRIBE, UNSUBSCRIBE, and what a lost session leaves
 *   members.c      who is behind a pattern: subscriptions and groups
 *   backlog.c      slow subscribers: what waits, what is dropped, GAP
 *   retain.c       retained values, the last n messages of a topic
 *   gather.c       questions and their answers
 *   admin/topics.c settings, and what `ferry topics` shows
 *
 * Nothing that is called from here calls back: session_send() and session_end() only take notes for
 * the end of the turn.
 */

#include "broker/broker.h"
#include "broker/topics/kept.h"
#include "broker/topics/topic.h"
#include "broker/topics/tree.h"

typedef struct Asked Asked;
typedef struct Gather Gather;
typedef struct Group Group;
typedef struct Pattern Pattern;
typedef struct Subscription Subscription;
typedef struct Topic Topic;
typedef struct TopicRule TopicRule;

enum {
    TOPICS_KNOWN = 16384,     /* topics remembered that nobody asked to keep */
    TOPIC_MATCH_MAX = 64,     /* patterns remembered for one topic; with more it is walked again */
    TOPIC_KEEP = 16,          /* messages kept for replay where no rule says otherwise… */
    TOPIC_KEEP_BYTES = 65536, /* …of so many bytes together… */
    TOPIC_KEEP_SHARE = 16,    /* …for all topics a 16th of max_total_bytes */
    WAITING_MAX = 1 << 18,    /* messages that wait for all subscriptions of one session */
};

/* ---- who subscribes ---- */

typedef enum Overflow { DROP_NEWEST, DROP_OLDEST, DISCONNECT } Overflow;

/* Subscriptions of one pattern, or of one group: those with a session first. */
typedef struct Members {
    Subscription **at;
    uint32_t n, cap;
    uint32_t n_attached;
} Members;

typedef struct Waiting {
    Kept *kept;
    uint64_t seq, reply;
} Waiting;

/* What waits for one subscription: a ring. */
typedef struct Backlog {
    Waiting *ring;
    uint32_t first, n, cap;
    uint32_t n_initial; /* at the front: retained and replayed ones. OK to SUBSCRIBE comes after */
    size_t bytes;       /* without those */
} Backlog;

struct Subscription {
    Session *session; /* NULL: detached */
    uint64_t seq;     /* of the last message, sent or dropped */
    uint64_t missed;  /* dropped since the last one that was sent or waits */
    Backlog backlog;
    uint64_t max_backlog;
    Overflow overflow;
    bool slow; /* in session->slow */
    Subscription *slow_prev, *slow_next;

    Topics *topics;
    Pattern *pattern;
    Group *group;              /* NULL: none */
    uint32_t index;            /* among the members */
    Timer forget;              /* while it is detached */
    Subscription *prev, *next; /* of client->subscriptions: detached ones first */
    UT_hash_handle hh;         /* topics->subscriptions, by these two: */
    Client *client;
    uint64_t id;
};

struct Group {
    Members members;
    uint32_t turn;
    UT_hash_handle hh; /* pattern->groups, by name */
    uint32_t name_len;
    char name[];
};

/* A pattern that somebody subscribes to. */
struct Pattern {
    Members members; /* those in no group */
    Group *groups;   /* uthash by name */
    TopicNode *node;
    Pattern *prev, *next; /* topics->patterns */
    bool starry;
    uint32_t len;
    char text[];
};

/* ---- what is published ---- */

/* The last messages of a topic: a ring. */
typedef struct Replay {
    uint32_t first, n, cap;
    size_t bytes;
    Kept *ring[];
} Replay;

/* How many to keep, by pattern. Later rules win. */
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
    uint64_t generation; /* of match; another than topics->generation: to be done again */
    Pattern **match;
    uint32_t n_match, cap_match;
    bool recent;   /* published to since the clock last looked */
    bool ruled;    /* by its own rule, not by the default */
    bool in_clock; /* may be forgotten */
    bool pinned;   /* may not, because its rule has messages kept */
    Replay *replay;
    uint32_t keep;
    uint64_t keep_bytes;
    uint64_t n_published;
    Kept *retained;
    TopicNode *node;
    Topic *prev, *next; /* topics->clock */
    UT_hash_handle hh;
    uint32_t len;
    char name[];
};

struct Topics {
    Broker *broker;
    Message out; /* the MESSAGE in the making: only its number and receiver change */

    Topic *topics; /* uthash by name */
    Topic *last;   /* the one published to last, or NULL: often it is the next as well */
    Topic *clock;  /* those that may be forgotten, as in the clock algorithm */
    uint32_t n_clock, n_retained, n_pinned;
    TopicTree names;                 /* of topics -> Topic */
    size_t replay_bytes;             /* by the default rule */
    TopicRule *rules, *rules_before; /* before: while the configuration is read again */
    bool reloading;

    TopicTree tree; /* of patterns -> Pattern */
    Pattern *patterns;
    uint32_t n_starry;   /* of those */
    uint64_t generation; /* counts patterns that came and went */
    Pattern **scratch;   /* for topics with more than TOPIC_MATCH_MAX */
    uint32_t n_scratch, cap_scratch;
    bool match_failed;

    Subscription *subscriptions; /* uthash by client and id */
    Session *slow;               /* sessions with slow subscriptions */

    /* The message that is being published */
    const Message *message;
    const void *block;
    Kept *kept;      /* NULL: not held yet */
    bool kept_owned; /* by us, beside other owners */

    IdMap replies; /* our number for a question to one subscription -> Asked */
    uint64_t last_reply;
};

/* ---- topic.c ---- */

/* The topic of this valid name, or NULL. */
Topic *topic_find(Topics *topics, Span name);

/* What it is remembered for has come or gone: puts it among those that may be forgotten, or takes
 * it out. */
void topic_update_clock(Topics *topics, Topic *topic);

/* Holds the message being published. NULL: out of memory or room. The pointer is lent. */
Kept *topics_hold(Topics *topics);

/* Delivers the message being published; as a question, when gather is not NULL. */
void topics_deliver(Topics *topics, Topic *topic, Gather *gather);

/* ---- subscribe.c ---- */

void subscriptions_free(Topics *topics);

/* Is it one of those of which there may be few only? */
bool pattern_is_starry(const void *pattern, size_t len);

/* ---- members.c ---- */

/* Joins a subscription to the pattern, and to the group if its name is not empty. -ENOMEM. */
int members_join(Topics *topics, Subscription *subscription, Span pattern, Span group);
void members_leave(Subscription *subscription);

/* It has a session, or no longer: for groups, and to be asked. */
void members_attach(Subscription *subscription);
void members_detach(Subscription *subscription);

/* The member whose turn it is to get a message of this size: one with a session, and with room, if
 * there is any. */
Subscription *group_pick(Group *group, size_t size);

/* ---- backlog.c ---- */

/* What the peer's credit covers goes to its outbox; the rest waits with the subscription, where it
 * is counted, shared with other subscriptions, and can be dropped. A credit beyond the usual is not
 * taken at its word. */
static inline bool session_has_room(const Session *session) {
    const Outbox *out = &session->peer->out;
    int64_t waiting = (int64_t)outbox_bytes(out);

    return waiting < out->credit && waiting < WIRE_CREDIT;
}

/* The message being published, number seq of this subscription, has to wait, or is dropped. */
void backlog_add(Subscription *subscription, uint64_t seq, uint64_t reply);

/* A retained or replayed message: takes the next number, waits if it must, is not dropped for being
 * one too many. When there is no memory, or no room within the total, it is, and counted. */
void backlog_add_initial(Subscription *subscription, Kept *kept);

/* Would the message fit? */
bool backlog_fits(const Subscription *subscription, size_t size);

/* A message was dropped. reply: of the question that it was, or 0. */
void backlog_miss(Subscription *subscription, uint64_t reply);

/* Forgets all that waits; returns how many messages that were. */
uint64_t backlog_clear(Subscription *subscription);

/* Takes it out of session->slow. */
void backlog_not_slow(Subscription *subscription);

/* ---- retain.c ---- */

/* Keeps the message being published for replay. */
void replay_add(Topics *topics, Topic *topic);
void replay_clear(Topics *topics, Topic *topic);

/* The message being published becomes the topic's retained value, or deletes it. -ENOSPC, -ENOMEM:
 * nothing has changed. */
int retain(Topics *topics, Topic *topic);

/* Sends what is retained, and the last n messages of each topic, to a new subscription. Returns how
 * many topics and parts of topics it looked at. */
size_t replay_send(Subscription *subscription, bool retained, uint64_t last);

/* ---- gather.c ---- */

/* May this be asked? If not, that is answered. */
bool gather_is_allowed(Topics *topics, Session *session, const Topic *topic);

/* Delivers the message being published as a question. */
void gather_publish(Topics *topics, Session *session, Topic *topic);

/* A number for the question to this subscription, or 0: out of memory, or too many that its session
 * has not answered. */
uint64_t gather_ask(Gather *gather, Subscription *subscription);

/* The question with this number was lost on its way. */
void gather_lost(Topics *topics, uint64_t reply);
void gather_session_gone(Topics *topics, Session *session);

/* ---- admin/topics.c ---- */

/* Finds the rule for a topic, and applies it. */
void topic_rule_apply(Topics *topics, Topic *topic);
void topic_rules_free(Topics *topics);
