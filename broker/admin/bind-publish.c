/* SPDX-License-Identifier: Apache-2.0 */

/* PUBLISH to bound queues: a message becomes a job in each queue that is here, and an entry in the
 * inbox of each shard that is at another broker. If brokers share retained values, the message may
 * become one of them. See binds-private.h. */

#include <errno.h>
#include <stdlib.h>

#include "broker/admin/binds-private.h"
#include "broker/admin/retained.h"
#include "broker/core/peer-log.h"
#include "broker/queues/inbox-entry.h"
#include "broker/topics/topics.h"
#include "rpc/wire/name.h"

/* ---- which queues ---- */

static void add_far(Binds *binds, unsigned shard, Span queue, bool is_full) {
    if (binds->n_far == binds->cap_far) {
        size_t cap = binds->cap_far > 0 ? 2 * binds->cap_far : 16;
        RemoteFound *far = realloc(binds->far, cap * sizeof(*far));

        binds->far_failed |= !far;
        if (!far)
            return;
        binds->far = far;
        binds->cap_far = cap;
    }
    binds->far[binds->n_far++] = (RemoteFound){shard, queue, is_full};
}

/* If two patterns of one queue match, the queue gets one job. */
static void collect(void *value, void *ctx) {
    const BoundPattern *pattern = value;
    Binds *binds = ctx;

    for (const Bind *bind = pattern->binds; bind; bind = bind->next_same) {
        Queue *queue = bind->queue;
        Span name = span_of(queue->name, queue->stored.name_len);
        bool is_full;

        if (queue->fan_mark == binds->mark || !bind_counts(bind))
            continue;
        queue->fan_mark = binds->mark;
        if (!store_is_away(queue->settings.store))
            binds->found[binds->n_found++] = queue;
        else if (remote_binds_find(binds->remote, name, &is_full))
            add_far(binds, queue->settings.store->shard - 1, name, is_full);
    }
}

/* The binds of a shard that is here are in the table of this broker. */
static void collect_far(unsigned shard, Span queue, bool is_full, void *ctx) {
    Binds *binds = ctx;

    if (store_is_away(binds->broker->queues->shards[shard].store))
        add_far(binds, shard, queue, is_full);
}

static int compare_shards(const void *a, const void *b) {
    const RemoteFound *x = a, *y = b;

    return (x->shard > y->shard) - (x->shard < y->shard);
}

static void find_queues(Binds *binds, Span topic) {
    binds->mark++;
    remote_binds_begin(binds->remote);
    binds->broker->turn.work +=
        (unsigned)topic_tree_match(&binds->tree, topic.data, topic.len, collect, binds);
    if (remote_binds_count(binds->remote) > 0)
        binds->broker->turn.work +=
            (unsigned)remote_binds_match(binds->remote, topic, collect_far, binds);
    binds->broker->turn.work += (unsigned)(binds->n_found + binds->n_far);
    if (binds->n_far > 1)
        qsort(binds->far, binds->n_far, sizeof(*binds->far), compare_shards);
}

/* ---- checks ---- */

/* Removes the queues that cannot store the message from the list. False: the publisher waits for an
 * answer and has got an error; no queue and no subscriber gets the message. */
static bool check_queues(Binds *binds, Session *session, const Message *message) {
    Problem problem;
    size_t n = 0;

    for (size_t i = 0; i < binds->n_found; i++) {
        Queue *queue = binds->found[i];

        if (queues_fan_out_check(queue, message, &problem) == 0) {
            binds->found[n++] = queue;
            continue;
        }
        session->n_dropped++;
        if (message->id) {
            session_error(session, message->id, problem.type, "cannot publish to '%s': %s",
                          shown(message->name), problem.text);
            return false;
        }
        queue->n_dropped++;
        binds->broker->stats.dropped++;
        peer_log(binds->broker, LOG_LEVEL_WARNING,
                 "a bound queue misses a message: topic='%s' problem='%s'", shown(message->name),
                 problem.text);
    }
    binds->n_found = n;
    return true;
}

static int admit(const Binds *binds, unsigned shard) {
    return !binds->relay ? -EBUSY : binds->relay->ops->admit(binds->relay, shard);
}

static void refuse(Session *session, const Message *message, int r) {
    if (r == -ENOMEM)
        session_error(session, message->id, "ferry.OutOfMemory",
                      "cannot publish to '%s': the broker is out of memory", shown(message->name));
    else
        session_error(session, message->id, "ferry.Overloaded",
                      "cannot publish to '%s': the store cannot take messages for bound queues of "
                      "other brokers now",
                      shown(message->name));
}

/* Removes the queues at other brokers that are full, as check_queues() does with those here. */
static bool check_full(Binds *binds, Session *session, const Message *message) {
    size_t n = 0;

    for (size_t i = 0; i < binds->n_far; i++) {
        const RemoteFound *far = &binds->far[i];

        if (!far->is_full) {
            binds->far[n++] = *far;
            continue;
        }
        session->n_dropped++;
        if (message->id) {
            session_error(session, message->id, "ferry.Full",
                          "cannot publish to '%s': queue '%s' at another broker is full",
                          shown(message->name), shown(far->queue));
            return false;
        }
        binds->broker->stats.dropped++;
        peer_log(binds->broker, LOG_LEVEL_WARNING,
                 "a bound queue at another broker is full, and misses a message: topic='%s' "
                 "queue='%s'",
                 shown(message->name), shown(far->queue));
    }
    binds->n_far = n;
    return true;
}

/* Without an id, queues at other brokers miss the message. False: the publisher has got an error.
 */
static bool check_far(Binds *binds, Session *session, const Message *message) {
    int r = binds->far_failed ? -ENOMEM : 0, last = 0;
    size_t n = 0;

    for (size_t i = 0; i < binds->n_far; i++) {
        if (i == 0 || binds->far[i].shard != binds->far[i - 1].shard)
            last = admit(binds, binds->far[i].shard);
        r = r < 0 ? r : last;
        if (last == 0)
            binds->far[n++] = binds->far[i];
    }
    if (r == 0)
        return true;
    session->n_dropped++;
    if (message->id) {
        refuse(session, message, r);
        return false;
    }
    queues_fan_out_missed(binds->broker->queues, false, r);
    binds->n_far = n;
    return true;
}

/* ---- entries ---- */

/* The queues of one shard, at most INBOX_QUEUES_MAX of them; returns their number. */
static size_t send_some(Binds *binds, Fanout *fan_out, const RemoteFound *far, size_t n,
                        const Message *message) {
    CLEANUP(buffer_deinit) Buffer entry = {0};
    Span queues[INBOX_QUEUES_MAX];
    size_t some = 0;
    void *sending;
    int r;

    while (some < n && some < INBOX_QUEUES_MAX && far[some].shard == far->shard) {
        queues[some] = far[some].queue;
        some++;
    }
    inbox_entry_write(&entry, queues, some, message);
    sending = queues_fan_out_send(fan_out, some);
    if (!sending)
        return some;
    r = entry.failed   ? -ENOMEM
        : binds->relay ? binds->relay->ops->send(binds->relay, far->shard,
                                                 span_of(entry.data, entry.len), sending)
                       : -EBUSY;
    if (r < 0)
        queues_sent(binds->broker->queues, sending, r);
    return some;
}

static void send_far(Binds *binds, Fanout *fan_out, const Message *message) {
    for (size_t i = 0; i < binds->n_far;)
        i += send_some(binds, fan_out, binds->far + i, binds->n_far - i, message);
}

/* ---- the retained value ---- */

/* False: the value cannot be kept now, and the publisher has got an error, if it waits for an
 * answer. */
static bool check_value(const Binds *binds, Session *session, const Message *message) {
    int r = retained_admit(binds->broker->retained, message->name);

    if (r == 0)
        return true;
    session->n_dropped++;
    if (message->id)
        session_error(session, message->id, "ferry.Overloaded",
                      "cannot publish to '%s': the store cannot take retained values now",
                      shown(message->name));
    else
        queues_fan_out_missed(binds->broker->queues, true, r);
    return false;
}

static void send_value(const Binds *binds, Fanout *fan_out, const Message *message) {
    void *sending = queues_fan_out_send(fan_out, 0);
    int r = sending ? retained_send(binds->broker->retained, message, sending) : 0;

    if (r < 0)
        queues_sent(binds->broker->queues, sending, r);
}

/* ---- PUBLISH ---- */

/* The message goes to queues, or it is kept as a retained value. */
static void publish_stored(Binds *binds, Session *session, const Message *message,
                           const void *block, bool keeps) {
    Message for_queues = *message;
    Fanout *fan_out;

    if (message->publish.flags & PUBLISH_GATHER)
        for_queues.id = 0; /* the question is answered when it ends */
    if (queues_fan_out(binds->broker->queues, binds->found, binds->n_found, session, &for_queues,
                       block, &fan_out) < 0) {
        session->n_dropped++;
        session_error(session, message->id, "ferry.OutOfMemory",
                      "cannot publish to '%s': the broker is out of memory", shown(message->name));
        return;
    }
    if (!topics_publish_unanswered(binds->broker->topics, session, message, block)) {
        queues_fan_out_cancel(fan_out);
        return;
    }
    send_far(binds, fan_out, message);
    if (keeps)
        send_value(binds, fan_out, message);
    queues_fan_out_store(fan_out);
}

void binds_publish(Binds *binds, Session *session, const Message *message, const void *block) {
    bool keeps = retained_takes(binds->broker->retained, message);
    Message plain = *message;

    binds->n_found = binds->n_far = 0;
    binds->far_failed = false;
    /* Answers to a question must come now: a job would be answered too late. */
    if (!(message->publish.flags & PUBLISH_GATHER) &&
        name_is_valid(message->name.data, message->name.len))
        find_queues(binds, message->name);
    if (binds->n_found > 0 && !check_queues(binds, session, message))
        return;
    if ((binds->n_far > 0 || binds->far_failed) &&
        !(check_full(binds, session, message) && check_far(binds, session, message)))
        return;
    if (keeps) {
        plain.publish.flags &= ~PUBLISH_RETAIN;
        keeps = check_value(binds, session, message);
        if (!keeps && message->id)
            return;
    }
    if (binds->n_found > 0 || binds->n_far > 0 || keeps)
        publish_stored(binds, session, &plain, block, keeps);
    else
        topics_publish(binds->broker->topics, session, &plain, block);
}
