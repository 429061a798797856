/* SPDX-License-Identifier: Apache-2.0 */
/* ferry.Broker.topics: the list of topics and patterns. See topics.h. */

#include <utlist.h>

#include "broker/sessions/user.h"
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

static bool is_seen(const Session *session, const char *name, size_t len) {
    return session_sees(session, SIGHT_OF_TOPIC, span_of(name, len));
}

void topics_describe(Topics *topics, const Session *session, Buffer *to) {
    const Pattern *pattern;
    const Topic *topic;
    uint32_t n = 0;

    for (topic = topics->topics; topic; topic = topic->hh.next)
        n += is_seen(session, topic->name, topic->len);
    DL_FOREACH(topics->patterns, pattern) {
        n += is_seen(session, pattern->text, pattern->len);
    }
    write_array(to, n);
    for (topic = topics->topics; topic; topic = topic->hh.next)
        if (is_seen(session, topic->name, topic->len))
            describe_topic(topic, to);
    DL_FOREACH(topics->patterns, pattern) {
        if (is_seen(session, pattern->text, pattern->len))
            describe_pattern(pattern, to);
    }
}
