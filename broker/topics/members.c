/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The subscribers of a pattern: single subscriptions and groups. One member of a group gets each
 * message. Members with a session stand first, so that the choice of a member need not skip
 * detached ones.
 */

#include <errno.h>
#include <stdlib.h>
#include <utlist.h>

#include "broker/events/events.h"
#include "broker/topics/topics-private.h"
#include "rpc/wire/name.h"

/* members that are checked for room */
enum { PICK_TRIES = 64 };

static Members *members_of(const Subscription *subscription) {
    return subscription->group ? &subscription->group->members : &subscription->pattern->members;
}

static void put_at(Members *members, uint32_t i, Subscription *subscription) {
    members->at[i] = subscription;
    subscription->index = i;
}

static void swap(Members *members, uint32_t i, uint32_t k) {
    Subscription *a = members->at[i], *b = members->at[k];

    put_at(members, i, b);
    put_at(members, k, a);
}

void members_attach(Subscription *subscription) {
    Members *members = members_of(subscription);

    swap(members, subscription->index, members->n_attached++);
}

void members_detach(Subscription *subscription) {
    Members *members = members_of(subscription);

    swap(members, subscription->index, --members->n_attached);
}

static int members_add(Members *members, Subscription *subscription) {
    if (members->n == members->cap) {
        uint32_t cap = members->cap ? members->cap * 2 : 1;
        Subscription **grown = realloc(members->at, cap * sizeof(Subscription *));

        if (!grown)
            return -ENOMEM;
        members->at = grown;
        members->cap = cap;
    }
    put_at(members, members->n++, subscription);
    return 0;
}

/* ---- groups ---- */

static Group *group_get(Pattern *pattern, Span name) {
    Group *group;

    HASH_FIND(hh, pattern->groups, name.data, name.len, group);
    if (group)
        return group;
    group = calloc(1, sizeof(*group) + name.len);
    if (!group)
        return NULL;
    group->name_len = (uint32_t)name.len;
    memcpy(group->name, name.data, name.len);
    HASH_ADD_KEYPTR(hh, pattern->groups, group->name, group->name_len, group);
    if (!hash_added(group)) {
        free(group);
        return NULL;
    }
    return group;
}

static void group_drop(Pattern *pattern, Group *group) {
    if (!group || group->members.n > 0)
        return;
    HASH_DEL(pattern->groups, group);
    free(group->members.at);
    free(group);
}

Subscription *group_pick(Group *group, size_t size) {
    const Members *members = &group->members;
    uint32_t n = members->n_attached ? members->n_attached : members->n;
    uint32_t tries = n < PICK_TRIES ? n : PICK_TRIES;
    Subscription *second = NULL;

    /* Choose a member that can take the message at once; else a member whose backlog has room; else
     * the next member. */
    for (uint32_t i = 0; members->n_attached > 0 && i < tries; i++) {
        uint32_t k = (group->turn + i) % n;
        Subscription *member = members->at[k];

        if (member->backlog.n == 0 && subscription_has_room(member)) {
            group->turn = k + 1;
            return member;
        }
        if (!second && backlog_fits(member, size))
            second = member;
    }
    if (!second)
        second = members->at[group->turn % n];
    group->turn = second->index + 1;
    return second;
}

/* ---- patterns ---- */

bool pattern_is_starry(const void *pattern, size_t len) {
    const char *at = pattern;
    int n = 0, level = 0;
    bool deep = false;

    for (size_t i = 0; i < len; i++) {
        n += at[i] == '*';
        level += at[i] == '.';
        deep |= level >= TOPIC_TREE_LEVELS && (at[i] == '*' || at[i] == '>');
    }
    return n > STARS_FEW || deep;
}

static Pattern *pattern_get(Topics *topics, Span text) {
    Pattern *pattern = topic_tree_get(&topics->tree, text.data, text.len);

    if (pattern)
        return pattern;
    pattern = calloc(1, sizeof(*pattern) + text.len);
    if (!pattern)
        return NULL;
    pattern->len = (uint32_t)text.len;
    memcpy(pattern->text, text.data, text.len);
    if (topic_tree_put(&topics->tree, text.data, text.len, &pattern->node) < 0) {
        free(pattern);
        return NULL;
    }
    topic_node_set(pattern->node, pattern);
    DL_APPEND(topics->patterns, pattern);
    pattern->starry = pattern_is_starry(text.data, text.len);
    pattern->of_broker = name_is_reserved(text.data, text.len);
    topics->n_starry += pattern->starry;
    topics->generation++;
    events_pattern_added(topics->broker, text);
    return pattern;
}

static void pattern_drop(Topics *topics, Pattern *pattern) {
    if (pattern->members.n > 0 || pattern->groups)
        return;
    topic_tree_drop(&topics->tree, pattern->node);
    walks_pass(topics->broker->walks, pattern, pattern->next);
    DL_DELETE(topics->patterns, pattern);
    topics->n_starry -= pattern->starry;
    topics->generation++;
    events_pattern_gone(topics->broker, span_of(pattern->text, pattern->len));
    free(pattern->members.at);
    free(pattern);
}

int members_join(Topics *topics, Subscription *subscription, Span text, Span group_name) {
    Pattern *pattern = pattern_get(topics, text);
    Group *group = NULL;
    int r = 0;

    if (!pattern)
        return -ENOMEM;
    if (group_name.len > 0) {
        group = group_get(pattern, group_name);
        r = group ? 0 : -ENOMEM;
    }
    if (r == 0)
        r = members_add(group ? &group->members : &pattern->members, subscription);
    if (r < 0) {
        group_drop(pattern, group);
        pattern_drop(topics, pattern);
        return r;
    }
    subscription->pattern = pattern;
    subscription->group = group;
    return 0;
}

void members_leave(Subscription *subscription) {
    Members *members = members_of(subscription);
    Pattern *pattern = subscription->pattern;

    if (subscription->index < members->n_attached)
        members_detach(subscription);
    swap(members, subscription->index, --members->n);
    group_drop(pattern, subscription->group);
    pattern_drop(subscription->topics, pattern);
}
