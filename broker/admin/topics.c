/* SPDX-License-Identifier: Apache-2.0 */
/* ferry.Broker.topics: the list of topics and patterns. See admin-private.h. */

#include "broker/admin/admin-private.h"
#include "broker/admin/retained.h"
#include "broker/sessions/user.h"
#include "broker/topics/topics-private.h"

size_t topics_count(const Topics *topics) {
    return topics->names.n_nodes + topics->tree.n_nodes;
}

/* ---- topics ---- */

static size_t count_topics(const Broker *broker) {
    return topics_count(broker->topics);
}

static void *first_topic(const Broker *broker) {
    return broker->topics->topics;
}

static void *next_topic(const void *element) {
    return ((const Topic *)element)->hh.next;
}

static bool is_topic_seen(Session *session, const void *element) {
    const Topic *topic = element;

    return session_sees(session, SIGHT_OF_TOPIC, span_of(topic->name, topic->len));
}

static unsigned write_topic(const void *element, const Broker *broker, Buffer *to) {
    const Topic *topic = element;

    write_map(to, 4);
    write_text(to, "name");
    write_str(to, topic->name, topic->len);
    write_pair(to, "published", topic->n_published);
    write_text(to, "retained");
    write_bool(to, topic->retained && retained_is_given(broker->retained, topic));
    write_pair(to, "kept", topic->replay ? topic->replay->n : 0);
    return 0;
}

/* ---- patterns ---- */

static size_t count_no_more(const Broker *broker) {
    (void)broker;
    return 0; /* topics_count() has counted them */
}

static void *first_pattern(const Broker *broker) {
    return broker->topics->patterns;
}

static void *next_pattern(const void *element) {
    return ((const Pattern *)element)->next;
}

static bool is_pattern_seen(Session *session, const void *element) {
    const Pattern *pattern = element;

    return session_sees(session, SIGHT_OF_TOPIC, span_of(pattern->text, pattern->len));
}

static unsigned write_pattern(const void *element, const Broker *broker, Buffer *to) {
    const Pattern *pattern = element;
    uint32_t n = pattern->members.n_attached;

    (void)broker;
    for (const Group *group = pattern->groups; group; group = group->hh.next)
        n += group->members.n_attached;
    write_map(to, 2);
    write_text(to, "pattern");
    write_str(to, pattern->text, pattern->len);
    write_pair(to, "subscribers", n);
    return HASH_COUNT(pattern->groups);
}

static const ListKind patterns = {
    .count = count_no_more,
    .first = first_pattern,
    .next = next_pattern,
    .is_seen = is_pattern_seen,
    .write = write_pattern,
};

const ListKind list_of_topics = {
    .count = count_topics,
    .first = first_topic,
    .next = next_topic,
    .is_seen = is_topic_seen,
    .write = write_topic,
    .then = &patterns,
};

int method_topics(const Ask *ask, const void *p, Buffer *to, ferry_error *reterr) {
    (void)p;
    return admin_list_answer(ask, &list_of_topics, to, reterr);
}
