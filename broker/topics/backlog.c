/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Slow subscribers. If the credit of the session, or of the subscription, does not cover a message,
 * the message waits here, with its subscription. It is stored once for all subscriptions for which
 * it waits. If too many bytes wait for a subscription, messages are dropped by its overflow policy.
 * Each message gets its number before that, so the subscriber notices each loss.
 */

#include <errno.h>
#include <stdlib.h>
#include <utlist.h>

#include "broker/events/events.h"
#include "broker/topics/topics-private.h"
#include "rpc/wire/name.h"

/* TURN_BYTES: after sending this many bytes, the session continues with its next subscription. */
enum { TURN_BYTES = 64 * 1024, RING_MIN = 16 };

static Waiting *waiting_at(const Backlog *backlog, uint32_t i) {
    return &backlog->ring[(backlog->first + i) & (backlog->cap - 1)];
}

/* The ring counts against max_total_bytes: otherwise many subscriptions to many retained values
 * could exceed it. */
static int grow(Broker *broker, Backlog *backlog) {
    uint32_t cap = backlog->cap ? backlog->cap * 2 : RING_MIN;
    uint64_t more = (cap - backlog->cap) * sizeof(Waiting);
    Waiting *ring;

    if (!broker_may_store(broker, more))
        return -ENOSPC;
    ring = calloc(cap, sizeof(*ring));
    if (!ring)
        return -ENOMEM;
    for (uint32_t i = 0; i < backlog->n; i++)
        ring[i] = *waiting_at(backlog, i);
    free(backlog->ring);
    backlog->ring = ring;
    backlog->cap = cap;
    backlog->first = 0;
    broker->budget.bytes[BUDGET_TOPICS] += more;
    return 0;
}

static void free_ring(Broker *broker, Backlog *backlog) {
    broker->budget.bytes[BUDGET_TOPICS] -= backlog->cap * sizeof(Waiting);
    free(backlog->ring);
    *backlog = (Backlog){0};
}

static int push(Subscription *subscription, Waiting waiting) {
    Backlog *backlog = &subscription->backlog;
    Session *session = subscription->session;
    int r = backlog->n < backlog->cap ? 0 : grow(subscription->topics->broker, backlog);

    /* WAITING_MAX: otherwise ten thousand subscriptions of one session could fill the broker, and
     * it would take long to clear their backlogs. */
    if (r < 0 || session->n_waiting == WAITING_MAX)
        return -ENOSPC;
    *waiting_at(backlog, backlog->n++) = waiting;
    session->n_waiting++;
    return 0;
}

/* The bytes that are counted for a waiting message of this size. */
static size_t cost(size_t size) {
    return size + sizeof(Waiting);
}

static void mark_slow(Subscription *subscription) {
    Session *session = subscription->session;
    Topics *topics = subscription->topics;

    /* A subscription without credit is not in the list until MORE comes. Initial messages need no
     * credit. */
    if (subscription->slow ||
        (!subscription_has_credit(subscription) && subscription->backlog.n_initial == 0))
        return;
    subscription->slow = true;
    if (!session->slow)
        DL_APPEND2(topics->slow, session, slow_prev, slow_next);
    DL_APPEND2(session->slow, subscription, slow_prev, slow_next);
}

void backlog_not_slow(Subscription *subscription) {
    Session *session = subscription->session;
    Topics *topics = subscription->topics;

    if (!subscription->slow)
        return;
    subscription->slow = false;
    DL_DELETE2(session->slow, subscription, slow_prev, slow_next);
    if (!session->slow)
        DL_DELETE2(topics->slow, session, slow_prev, slow_next);
}

/* Publishes the event once, until the subscription has caught up. Events about a subscription to
 * events would cause more events. */
static void tell_slow(Subscription *subscription) {
    Broker *broker = subscription->topics->broker;
    const Pattern *pattern = subscription->pattern;
    char text[NAME_MAX_LEN + 1];

    if (subscription->told_slow || pattern->of_broker)
        return;
    subscription->told_slow = true;
    memcpy(text, pattern->text, pattern->len);
    text[pattern->len] = '\0';
    event_raise(broker, EVENT_SUBSCRIBER_SLOW,
                &(broker_events_subscriber_slow){.session = subscription->session->number,
                                                 .name = subscription->session->name,
                                                 .pattern = text,
                                                 .waiting = (int64_t)subscription->backlog.bytes});
}

/* Counts a dropped message. reply: the number of the question, or 0. */
static void miss(Subscription *subscription, uint64_t reply) {
    Topics *topics = subscription->topics;

    subscription->missed++;
    topics->broker->stats.dropped++;
    if (subscription->session) {
        subscription->session->n_dropped++;
        if (event_is_watched(topics->broker, EVENT_SUBSCRIBER_SLOW))
            tell_slow(subscription);
        mark_slow(subscription);
    }
    if (reply)
        gather_lost(topics, reply);
}

/* Counts a retained or replayed message that has left the backlog. After the last one SUBSCRIBE
 * gets its OK. */
static void initial_left(Subscription *subscription, uint64_t seq) {
    if (--subscription->backlog.n_initial == 0)
        session_ok(subscription->session, LANE_BULK, subscription->id, seq);
}

/* Removes the first message; the caller owns its reference. */
static Waiting pop(Subscription *subscription) {
    Backlog *backlog = &subscription->backlog;
    Waiting waiting = *waiting_at(backlog, 0);

    backlog->first = (backlog->first + 1) & (backlog->cap - 1);
    backlog->n--;
    subscription->session->n_waiting--;
    if (backlog->n_initial == 0)
        backlog->bytes -= cost(shared_message_size(waiting.shared));
    return waiting;
}

static void drop_first(Subscription *subscription) {
    Topics *topics = subscription->topics;
    bool initial = subscription->backlog.n_initial > 0;
    Waiting waiting = pop(subscription);

    topics->broker->stats.dropped++;
    subscription->session->n_dropped++;
    if (event_is_watched(topics->broker, EVENT_SUBSCRIBER_SLOW))
        tell_slow(subscription);
    if (initial)
        initial_left(subscription, waiting.seq);
    if (waiting.reply)
        gather_lost(topics, waiting.reply);
    shared_message_unref(topics->broker, waiting.shared);
}

void backlog_go_on(Subscription *subscription) {
    if (subscription->backlog.n > 0 || subscription->missed > 0)
        mark_slow(subscription);
}

bool backlog_fits(const Subscription *subscription, size_t size) {
    return subscription->backlog.bytes + cost(size) <= subscription->max_backlog;
}

/* Makes room by the subscription's overflow policy. False: the new message is dropped. */
static bool make_room(Subscription *subscription, size_t size) {
    if (backlog_fits(subscription, size))
        return true;
    if (subscription->overflow == DISCONNECT)
        session_end(subscription->session, "slow");
    if (subscription->overflow != DROP_OLDEST || cost(size) > subscription->max_backlog)
        return false;
    while (!backlog_fits(subscription, size))
        drop_first(subscription);
    return true;
}

/* shared: NULL if there is no memory for the message. */
static void add(Subscription *subscription, SharedMessage *shared, uint64_t seq, uint64_t reply) {
    if (!shared || push(subscription, (Waiting){shared, seq, reply}) < 0) {
        miss(subscription, reply);
        return;
    }
    shared_message_ref(shared);
    subscription->backlog.bytes += cost(shared_message_size(shared));
    subscription->missed = 0;
    mark_slow(subscription);
}

void backlog_add(Subscription *subscription, Publication *publication, uint64_t seq,
                 uint64_t reply) {
    size_t size = shared_message_size_of(publication->message);

    if (!subscription->session || !make_room(subscription, size))
        miss(subscription, reply);
    else
        add(subscription, publication_hold(publication), seq, reply);
}

/* Reports a message that has waited under the name in the message: the topic may be forgotten by
 * now. */
static void tap_waiting(const Subscription *subscription, const Message *out) {
    const Broker *broker = subscription->topics->broker;
    Reader fields = reader_of(out->passed.data, out->passed.len);
    Span name = out->passed.data ? reader_str(&fields) : out->name;
    TapMark mark = {0};

    if (tap_watches(broker, TAP_TOPICS, &mark, name))
        taps_record(broker->taps, &(TapEvent){.kind = TAP_TOPICS,
                                              .sent = true,
                                              .op = OP_MESSAGE,
                                              .session = subscription->session,
                                              .name = name,
                                              .body = message_body(out)});
}

static void send_waiting(Subscription *subscription, const Waiting *waiting) {
    Message out = {.message = {subscription->id, waiting->seq, waiting->reply}};
    const void *block = stored_message_forward(&waiting->shared->stored, OP_MESSAGE, 0, &out);

    if (__builtin_expect(subscription->topics->broker->tap_generation != 0, 0))
        tap_waiting(subscription, &out);
    subscription->topics->broker->stats.delivered++;
    if (subscription->metered)
        subscription_charge(subscription, message_body(&out).len);
    session_send(subscription->session, LANE_BULK, &out, block);
}

void backlog_add_stored(Subscription *subscription, SharedMessage *shared) {
    Waiting waiting = {shared, ++subscription->seq, 0};

    if (subscription->session && subscription->backlog.n == 0 &&
        subscription_has_room(subscription)) {
        subscription->missed = 0;
        send_waiting(subscription, &waiting);
    } else if (!subscription->session || !make_room(subscription, shared_message_size(shared))) {
        miss(subscription, 0);
    } else {
        add(subscription, shared, waiting.seq, 0);
    }
}

void backlog_add_initial(Subscription *subscription, SharedMessage *shared) {
    Waiting waiting = {shared, ++subscription->seq, 0};

    subscription->topics->broker->turn.work++;
    if (subscription->backlog.n == 0 && session_has_room(subscription->session)) {
        subscription->missed = 0;
        send_waiting(subscription, &waiting);
        return;
    }
    if (push(subscription, waiting) < 0) {
        miss(subscription, 0);
        return;
    }
    shared_message_ref(shared);
    subscription->backlog.n_initial++;
    subscription->missed = 0;
    mark_slow(subscription);
}

uint64_t backlog_clear(Subscription *subscription) {
    Topics *topics = subscription->topics;
    Backlog *backlog = &subscription->backlog;
    uint64_t n = backlog->n;

    if (n > 0)
        subscription->session->n_waiting -= (uint32_t)n;
    backlog->n_initial = 0;
    for (uint32_t i = 0; i < n; i++) {
        const Waiting *waiting = waiting_at(backlog, i);

        if (waiting->reply)
            gather_lost(topics, waiting->reply);
        shared_message_unref(topics->broker, waiting->shared);
    }
    free_ring(topics->broker, backlog);
    return n;
}

/* ---- at the end of a turn ---- */

/* Sends messages as far as the credit goes, up to TURN_BYTES. */
static void feed(Subscription *subscription) {
    Backlog *backlog = &subscription->backlog;
    size_t sent = 0;

    while (backlog->n > 0 && sent < TURN_BYTES && session_has_room(subscription->session)) {
        bool initial = backlog->n_initial > 0;
        Waiting waiting;

        if (!initial && !subscription_has_credit(subscription))
            return;
        waiting = pop(subscription);
        sent += shared_message_size(waiting.shared);
        send_waiting(subscription, &waiting);
        if (initial)
            initial_left(subscription, waiting.seq);
        shared_message_unref(subscription->topics->broker, waiting.shared);
    }
}

/* The backlog is empty: GAP reports the messages that were dropped after the last message that was
 * sent. */
static void send_gap(Subscription *subscription) {
    Message gap = {.op = OP_GAP, .gap = {subscription->id, subscription->missed}};

    subscription->missed = 0;
    session_send(subscription->session, LANE_BULK, &gap, NULL);
}

static void feed_session(Session *session) {
    while (session->slow && session_has_room(session)) {
        Subscription *subscription = session->slow;

        feed(subscription);
        if (subscription->backlog.n > 0 && !subscription_has_credit(subscription) &&
            subscription->backlog.n_initial == 0) {
            backlog_not_slow(subscription);
            continue;
        }
        if (subscription->backlog.n > 0) {
            DL_DELETE2(session->slow, subscription, slow_prev, slow_next);
            DL_APPEND2(session->slow, subscription, slow_prev, slow_next);
            continue;
        }
        if (subscription->missed > 0)
            send_gap(subscription);
        free_ring(session->broker, &subscription->backlog);
        subscription->told_slow = false;
        backlog_not_slow(subscription);
    }
}

void topics_turn_end(Topics *topics) {
    Session *session = topics->slow;

    while (session) {
        Session *next = session->slow_next;

        feed_session(session);
        session = next;
    }
}
