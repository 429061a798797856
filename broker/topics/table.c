/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The topics that were published to, each with the patterns that match it. The next message on a
 * topic goes to its subscribers with one lookup by hash, without a walk or an allocation.
 */

#include <errno.h>
#include <stdlib.h>
#include <utlist.h>

#include "broker/topics/topics-private.h"
#include "rpc/wire/name.h"

enum { FORGOTTEN_MAX = 64 }; /* topics beyond TOPICS_KNOWN that one turn forgets */

/* Counts the nodes of the name as if it shared none of them with other topics. */
static size_t memory_of(size_t name_len) {
    return sizeof(Topic) + name_len + topic_tree_cost(name_len);
}

static size_t match_memory(const Topic *topic) {
    return topic->cap_match * sizeof(Pattern *);
}

static void topic_free(Topics *topics, Topic *topic) {
    if (topics->last == topic)
        topics->last = NULL;
    replay_clear(topics, topic);
    if (topic->retained)
        topics->n_retained--;
    topic->retained = shared_message_unref(topics->broker, topic->retained);
    if (topic->in_clock) {
        DL_DELETE(topics->clock, topic);
        topics->n_clock--;
    }
    if (topic->node)
        topic_tree_drop(&topics->names, topic->node);
    if (hash_added(topic)) {
        walks_pass(topics->broker->walks, topic, topic->hh.next);
        HASH_DEL(topics->topics, topic);
    }
    topics->broker->budget.bytes[BUDGET_TOPICS] -= memory_of(topic->len) + match_memory(topic);
    free(topic->match);
    free(topic);
}

/* Forgets topics beyond TOPICS_KNOWN, beginning with the least recently published one. If the
 * broker is full, forgets more topics. */
static void forget_some(Topics *topics) {
    bool is_full = !broker_may_store(topics->broker, memory_of(NAME_MAX_LEN));

    for (unsigned n = 0;
         topics->n_clock > 1 && (topics->n_clock > TOPICS_KNOWN || (is_full && n < FORGOTTEN_MAX));
         n++) {
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

Topic *topic_find(Topics *topics, Span name) {
    Topic *topic;

    HASH_FIND(hh, topics->topics, name.data, name.len, topic);
    return topic;
}

Topic *topic_new(Topics *topics, Span name) {
    Topic *topic = calloc(1, sizeof(*topic) + name.len);

    if (!topic)
        return NULL;
    topics->broker->budget.bytes[BUDGET_TOPICS] += memory_of(name.len);
    topic->len = (uint32_t)name.len;
    memcpy(topic->name, name.data, name.len);
    topic->of_broker = name_is_reserved(topic->name, topic->len);
    topic->recent = true; /* otherwise the clock could forget it at once */
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

void topics_forget_all(Topics *topics) {
    Topic *topic, *next;

    HASH_ITER(hh, topics->topics, topic, next) {
        topic_free(topics, topic);
    }
}

/* ---- patterns that match ---- */

static void collect(void *value, void *ctx) {
    Topics *topics = ctx;
    const Pattern *pattern = value;

    if (topics->matching_own && !pattern->of_broker)
        return;
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

int topic_match(Topics *topics, Topic *topic) {
    topics->n_scratch = 0;
    topics->match_failed = false;
    topics->matching_own = topic->of_broker;
    topics->broker->turn.work +=
        (unsigned)topic_tree_match(&topics->tree, topic->name, topic->len, collect, topics);
    if (topics->match_failed)
        return -ENOMEM;
    if (topics->n_scratch > TOPIC_MATCH_MAX) {
        /* Do not remember the patterns: they could grow to topics times patterns. Each publish
         * walks the tree instead. */
        topic->generation = 0;
        return 0;
    }
    if (topics->n_scratch > topic->cap_match) {
        Pattern **grown = realloc(topic->match, topics->n_scratch * sizeof(Pattern *));

        if (!grown)
            return -ENOMEM;
        topics->broker->budget.bytes[BUDGET_TOPICS] -= match_memory(topic);
        topic->match = grown;
        topic->cap_match = topics->n_scratch;
        topics->broker->budget.bytes[BUDGET_TOPICS] += match_memory(topic);
    }
    if (topics->n_scratch > 0)
        memcpy(topic->match, topics->scratch, topics->n_scratch * sizeof(Pattern *));
    topic->n_match = topics->n_scratch;
    topic->generation = topics->generation;
    return 0;
}
