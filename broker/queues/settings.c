/* SPDX-License-Identifier: Apache-2.0 */

/* The settings of queues, by name or pattern. See queues-private.h. */

#include <utlist.h>

#include "base/log.h"
#include "base/text.h"
#include "broker/core/setting.h"
#include "broker/queues/queues-private.h"
#include "rpc/wire/name.h"

/* Settings that are not numbers, beside those of SettingKind. */
enum { SETTING_OVERFLOW = SETTING_MS + 1, SETTING_DURABILITY };

enum { INTERVAL_MAX_MS = 60 * 60 * 1000 };

typedef struct Setting {
    const char *key;
    unsigned type; /* SettingKind, or one of the above */
    size_t offset; /* in QueueSettings, of a uint64_t (numbers only) */
    uint64_t min, max;
} Setting;

#define NUMBER(key, type, field, min, max)                                                         \
    { key, type, offsetof(QueueSettings, field), min, max }

static const Setting settings[] = {
    NUMBER("max_jobs", SETTING_COUNT, max_jobs, 1, UINT32_MAX),
    NUMBER("max_bytes", SETTING_BYTES, max_bytes, 1, UINT64_MAX / 2),
    NUMBER("max_attempts", SETTING_COUNT, max_attempts, 0, UINT32_MAX),
    NUMBER("retry", SETTING_MS, retry_ms, 0, QUEUE_TIME_MAX),
    NUMBER("retry_max", SETTING_MS, retry_max_ms, 0, QUEUE_TIME_MAX),
    NUMBER("ttl", SETTING_MS, ttl_ms, 0, QUEUE_TIME_MAX),
    NUMBER("time_limit", SETTING_MS, time_limit_ms, 0, QUEUE_TIME_MAX),
    NUMBER("dedup", SETTING_MS, dedup_ms, 0, QUEUE_TIME_MAX),
    NUMBER("max_keys", SETTING_COUNT, max_keys, 1, UINT32_MAX),
    {"overflow", SETTING_OVERFLOW, 0, 0, 0},
    {"durability", SETTING_DURABILITY, 0, 0, 0},
};

typedef struct Rule {
    struct Rule *next;
    const Setting *setting;
    uint64_t number;
    Store *store;
    bool is_wild;
    size_t len;
    char pattern[];
} Rule;

/* ---- reading ---- */

static const Setting *find_setting(const char *key) {
    for (size_t i = 0; i < sizeof(settings) / sizeof(*settings); i++)
        if (strcmp(settings[i].key, key) == 0)
            return &settings[i];
    return NULL;
}

/* Lent until the next call. */
static const char *no_such_setting(const char *key) {
    static char text[120];
    const char *names[sizeof(settings) / sizeof(*settings)], *nearest;

    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        names[i] = settings[i].key;
    nearest = text_nearest(key, names, sizeof(names) / sizeof(*names));
    snprintf(text, sizeof(text), "queues have no setting of this name%s%s%s",
             nearest ? "; did you mean '" : "", nearest ? nearest : "", nearest ? "'?" : "");
    return text;
}

/* 'interval:TIME' is a store that does not let clients wait for its disk. */
static const char *read_durability(Queues *queues, const char *value, Rule *to) {
    bool is_interval = strncmp(value, "interval:", 9) == 0;

    for (size_t i = 0; i < queues->n_stores && !to->store; i++) {
        const StoreOps *ops = queues->stores[i]->ops;

        if (is_interval ? ops->has_intervals : strcmp(ops->durability, value) == 0)
            to->store = queues->stores[i];
    }
    if (!to->store && (is_interval || strcmp(value, "disk") == 0))
        return "this broker has no data folder (--data DIR): only 'memory' is possible";
    if (!to->store)
        return "durability is 'memory', 'disk' or 'interval:TIME'";
    return is_interval ? setting_parse(SETTING_MS, value + 9, 1, INTERVAL_MAX_MS, &to->number)
                       : NULL;
}

static const char *read_value(Queues *queues, const Setting *setting, const char *value, Rule *to) {
    if (setting->type == SETTING_OVERFLOW) {
        to->number = strcmp(value, "drop-oldest") == 0 ? OVERFLOW_DROP_OLDEST : OVERFLOW_REFUSE;
        if (to->number == OVERFLOW_REFUSE && strcmp(value, "refuse") != 0)
            return "overflow is 'refuse' or 'drop-oldest'";
        return NULL;
    }
    if (setting->type == SETTING_DURABILITY) {
        return read_durability(queues, value, to);
    }
    return setting_parse((SettingKind)setting->type, value, setting->min, setting->max,
                         &to->number);
}

static void configure_all(Queues *queues) {
    for (Queue *queue = queues->table; queue; queue = queue->hh.next) {
        queue_configure(queue);
        queue_maybe_idle(queue);
    }
}

int queues_configure(Queues *queues, const char *pattern, const char *key, const char *value,
                     const char **problem) {
    const Setting *setting = find_setting(key);
    size_t len = strlen(pattern);
    Rule *rule, read = {.setting = setting};

    *problem = NULL;
    if (!setting)
        *problem = no_such_setting(key);
    else if (!pattern_is_valid(pattern, len))
        *problem = "this is neither the name of a queue nor a pattern";
    else
        *problem = read_value(queues, setting, value, &read);
    if (*problem)
        return -EINVAL;

    rule = malloc(sizeof(*rule) + len + 1);
    if (!rule) {
        *problem = "out of memory";
        return -ENOMEM;
    }
    *rule = read;
    rule->is_wild = pattern_is_wild(pattern, len);
    rule->len = len;
    memcpy(rule->pattern, pattern, len + 1);
    LL_APPEND2(queues->rules, rule, next);
    if (!queues->reloading)
        configure_all(queues);
    return 0;
}

static void free_all(Rule *rules) {
    while (rules) {
        Rule *next = rules->next;

        free(rules);
        rules = next;
    }
}

void rules_free(Queues *queues) {
    free_all(queues->rules);
    queues->rules = NULL;
}

void queues_reload(Queues *queues) {
    queues->rules_before = queues->rules;
    queues->rules = NULL;
    queues->reloading = true;
}

void queues_reloaded(Queues *queues, bool is_right) {
    Rule *gone = is_right ? queues->rules_before : queues->rules;

    if (!is_right)
        queues->rules = queues->rules_before;
    queues->rules_before = NULL;
    queues->reloading = false;
    free_all(gone);
    configure_all(queues);
}

/* ---- settings of one queue ---- */

/* A pattern applies to dead-letter queues only if it ends in .dead: a time to live for all
 * queues must not delete dead letters. */
static bool applies(const Rule *rule, const Queue *queue) {
    size_t name_len = queue->stored.name_len;

    if (!rule->is_wild)
        return rule->len == name_len && memcmp(rule->pattern, queue->name, name_len) == 0;
    if (queue->is_dead && (rule->len < 5 || memcmp(rule->pattern + rule->len - 5, ".dead", 5) != 0))
        return false;
    return pattern_matches(rule->pattern, rule->len, queue->name, name_len);
}

static void apply(const Rule *rule, QueueSettings *to) {
    if (rule->setting->type == SETTING_OVERFLOW) {
        to->overflow = (QueueOverflow)rule->number;
    } else if (rule->setting->type == SETTING_DURABILITY) {
        to->store = rule->store;
        to->interval_ms = rule->number;
    } else {
        memcpy((uint8_t *)to + rule->setting->offset, &rule->number, sizeof(rule->number));
    }
}

void queue_configure(Queue *queue) {
    const Limits *limits = &queue->queues->broker->limits;
    Store *store = queue->settings.store;
    QueueSettings to = {
        .max_jobs = limits->max_queue_jobs,
        .max_bytes = limits->max_queue_bytes,
        .max_attempts = limits->max_attempts,
        .retry_ms = limits->retry_ms,
        .retry_max_ms = limits->retry_max_ms,
        .dedup_ms = limits->dedup_ms,
        .max_keys = QUEUE_KEYS_MAX,
        .overflow = OVERFLOW_REFUSE,
        .store = queue->queues->usual_store,
    };

    /* In the order of the configuration; a section with the queue's own name comes after all
     * patterns. */
    for (int named = 0; named <= 1; named++)
        for (const Rule *rule = queue->queues->rules; rule; rule = rule->next)
            if (rule->is_wild == !named && applies(rule, queue)) {
                apply(rule, &to);
                to.named |= named;
            }
    if (store && store != to.store && queue->n_jobs > 0) {
        log_warning("queue '%s' holds jobs, keeping its durability: %s",
                    shown(span_of(queue->name, queue->stored.name_len)), store->ops->durability);
        to.store = store;
        to.interval_ms = queue->settings.interval_ms;
    }
    queue->settings = to;
    queue->stored.interval_ms = to.interval_ms;
}
