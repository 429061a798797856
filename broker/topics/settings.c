/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rules of the configuration file: how many messages each topic keeps.
 *
 *     [topic sensors.>]
 *     keep = 100            ; messages of each topic to keep, for SUBSCRIBE with `last`
 *     keep_bytes = 1M       ; bytes of these messages together
 */

#include <errno.h>
#include <stdlib.h>
#include <utlist.h>

#include "base/setting.h"
#include "broker/topics/topics-private.h"
#include "rpc/wire/name.h"

void topic_rule_apply(Topics *topics, Topic *topic) {
    const Limits *limits = &topics->broker->limits;
    uint64_t keep_bytes = TOPIC_KEEP_BYTES;
    uint32_t keep = TOPIC_KEEP;
    bool ruled = false;
    TopicRule *rule;

    DL_FOREACH(topics->rules, rule) {
        if (!pattern_matches(rule->pattern, rule->len, topic->name, topic->len))
            continue;
        ruled = true;
        keep = rule->has_keep ? rule->keep : keep;
        if (rule->has_bytes)
            keep_bytes = rule->keep_bytes;
        else if (rule->has_keep)
            keep_bytes = UINT64_MAX;
    }
    keep = keep < limits->max_replay ? keep : limits->max_replay;
    if (topic->replay && (topic->replay->cap != keep || topic->ruled != ruled))
        replay_clear(topics, topic);
    topic->ruled = ruled;
    topic->keep = keep;
    topic->keep_bytes = keep_bytes;
}

static void apply_all(Topics *topics) {
    Topic *topic, *next;

    HASH_ITER(hh, topics->topics, topic, next) {
        topic_rule_apply(topics, topic);
    }
}

static void free_all(TopicRule *rules) {
    TopicRule *rule, *next;

    DL_FOREACH_SAFE(rules, rule, next) {
        free(rule);
    }
}

void topic_rules_free(Topics *topics) {
    free_all(topics->rules);
    topics->rules = NULL;
}

void topics_reload(Topics *topics) {
    topics->rules_before = topics->rules;
    topics->rules = NULL;
    topics->reloading = true;
}

void topics_reloaded(Topics *topics, bool is_right) {
    TopicRule *gone = is_right ? topics->rules_before : topics->rules;

    if (!is_right)
        topics->rules = topics->rules_before;
    topics->rules_before = NULL;
    topics->reloading = false;
    free_all(gone);
    apply_all(topics);
}

static TopicRule *rule_get(Topics *topics, const char *pattern) {
    size_t len = strlen(pattern);
    TopicRule *rule;

    DL_FOREACH(topics->rules, rule) {
        if (rule->len == len && memcmp(rule->pattern, pattern, len) == 0)
            return rule;
    }
    rule = calloc(1, sizeof(*rule) + len);
    if (!rule)
        return NULL;
    rule->len = (uint32_t)len;
    memcpy(rule->pattern, pattern, len);
    DL_APPEND(topics->rules, rule);
    return rule;
}

int topics_configure(Topics *topics, const char *pattern, const char *key, const char *value,
                     const char **problem) {
    bool is_keep = strcmp(key, "keep") == 0;
    TopicRule *rule;
    uint64_t number = 0;

    *problem = NULL;
    if (!pattern_is_valid(pattern, strlen(pattern)))
        *problem = "the section does not name a pattern of topics";
    else if (!is_keep && strcmp(key, "keep_bytes") != 0)
        *problem = "topics have no setting with this name, only keep and keep_bytes";
    else
        *problem =
            setting_parse(is_keep ? SETTING_COUNT : SETTING_BYTES, value, 0, UINT64_MAX, &number);
    if (!*problem && is_keep && number > topics->broker->limits.max_replay)
        *problem = "keep is larger than the limit max_replay";
    if (*problem)
        return -EINVAL;

    rule = rule_get(topics, pattern);
    if (!rule)
        return -ENOMEM;
    if (is_keep) {
        rule->has_keep = true;
        rule->keep = (uint32_t)number;
    } else {
        rule->has_bytes = true;
        rule->keep_bytes = number;
    }
    if (!topics->reloading)
        apply_all(topics);
    return 0;
}
