/* SPDX-License-Identifier: Apache-2.0 */
/* ferry.Broker.topics: the list of topics and patterns. See topics.h. */

#include <utlist.h>

#include "broker/topics/topics-private.h"

size_t topics_count(const Topics *topics) {
    return topics->names.n_nodes + topics->tree.n_nodes;
}

static void describe_topic(const Topic *topic, Buffer *to) {
    write_map(to, 4);
    write_text(to, "name");
    write_str(to, topic->name, topic->len);
    write_pair(to, "published", topic->n_published);
    write_text(to, "retained");
    write_bool(to, topic->retained != NULL);
    write_pair(to, "kept", topic->replay ? topic->replay->n : 0);
}

static void describe_pattern(const Pattern *pattern, Buffer *to) {
    uint32_t n = pattern->members.n_attached;

    for (const Group *group = pattern->groups; group; group = group->hh.next)
        n += group->members.n_attached;
    write_map(to, 2);
    write_text(to, "pattern");
    write_str(to, pattern->text, pattern->len);
    write_pair(to, "subscribers", n);
}

void topics_describe(Topics *topics, Buffer *to) {
    uint32_t n = HASH_COUNT(topics->topics);
    const Pattern *pattern;
    const Topic *topic;

    DL_FOREACH(topics->patterns, pattern) {
        n++;
    }
    write_array(to, n);
    for (topic = topics->topics; topic; topic = topic->hh.next)
        describe_topic(topic, to);
    DL_FOREACH(topics->patterns, pattern) {
        describe_pattern(pattern, to);
    }
}
