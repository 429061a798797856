/* SPDX-License-Identifier: Apache-2.0 */
/* Retained values that several brokers share. See topics.h. */

#include <errno.h>

#include "broker/topics/topics-private.h"

/* Members of groups get no retained values. */
static void give(Topics *topics, Topic *topic, SharedMessage *value, uint64_t since_ms) {
    Pattern **patterns;
    uint32_t n;

    if (topics->attached_ms < since_ms)
        return;
    if (topic->generation != topics->generation && topic_match(topics, topic) < 0)
        return;
    n = topic_patterns(topics, topic, &patterns);
    for (uint32_t i = 0; i < n; i++) {
        const Members *members = &patterns[i]->members;

        topics->broker->turn.work += members->n_attached;
        for (uint32_t k = 0; k < members->n_attached; k++)
            if (members->at[k]->at_ms >= since_ms)
                backlog_add_stored(members->at[k], value);
    }
}

int topics_keep(Topics *topics, unsigned shard, const Message *message, bool is_new,
                uint64_t since_ms) {
    Topic *topic = topic_find(topics, message->name);
    SharedMessage *value;

    if (!topic)
        topic = topic_new(topics, message->name);
    if (!topic || shared_message_make(&value, topics->broker, message, NULL) < 0)
        return -ENOMEM;
    give(topics, topic, value, since_ms);
    if (message->body.len == 0)
        value = shared_message_unref(topics->broker, value);
    topic->shard = (uint8_t)shard;
    topic->kept_ms = is_new ? topics->broker->now_ms : 0;
    topic_set_retained(topics, topic, value);
    return 0;
}

void topics_forget(Topics *topics, unsigned shard) {
    for (Topic *topic = topics->topics; topic; topic = topic->hh.next)
        if (topic->retained && topic->shard == shard)
            topic_set_retained(topics, topic, NULL);
}

void topics_set_given(Topics *topics, uint64_t shards) {
    topics->given = shards;
}

void topics_give(Topics *topics, unsigned shard, uint64_t since_ms) {
    if (topics->attached_ms < since_ms)
        return;
    for (Topic *topic = topics->topics; topic; topic = topic->hh.next)
        if (topic->retained && topic->shard == shard)
            give(topics, topic, topic->retained, since_ms);
}
