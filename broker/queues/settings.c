/* SPDX-License-Identifier: Apache-2.0 */

/* The settings of queues, by name or pattern. See queues-private.h. */

#include <utlist.h>

#include "base/log.h"
#include "base/setting.h"
#include "base/text.h"
#include "broker/queues/queues-private.h"
#include "broker/queues/shards-private.h"
#include "rpc/wire/name.h"

/* Kinds of settings that are not numbers; SettingKind has the others. */
enum { SETTING_OVERFLOW = SETTING_MS + 1, SETTING_DURABILITY, SETTING_RATE };

enum { INTERVAL_MAX_MS = 60 * 60 * 1000 };

typedef struct Setting {
    const char *key;
    unsigned type; /* SettingKind, or a kind from above */
    size_t offset; /* of a uint64_t in QueueSettings (numbers only) */
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
    NUMBER("max_working", SETTING_COUNT, max_working, 0, UINT32_MAX),
    NUMBER("rate", SETTING_RATE, rate, 0, 1000000),
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

/* The text is valid until the next call. */
static const char *no_such_setting(const char *key) {
    static char text[120];
    const char *names[sizeof(settings) / sizeof(*settings)], *nearest;

    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        names[i] = settings[i].key;
    nearest = text_nearest(key, names, sizeof(names) / sizeof(*names));
    snprintf(text, sizeof(text), "queues have no setting with this name%s%s%s",
             nearest ? "; did you mean '" : "", nearest ? nearest : "", nearest ? "'?" : "");
    return text;
}

/* 'interval:TIME' needs a store that confirms pushes before they are on the disk. */
static const char *read_durability(Queues *queues, const char *value, Rule *to) {
    bool is_interval = strncmp(value, "interval:", 9) == 0;

    for (size_t i = 0; i < queues->n_stores && !to->store; i++) {
        const StoreOps *ops = queues->stores[i]->ops;

        if (is_interval ? ops->has_intervals : strcmp(ops->durability, value) == 0)
            to->store = queues->stores[i];
    }
    if (!to->store && (is_interval || strcmp(value, "disk") == 0))
        return "this broker has no data folder: use 'memory', or start it with --data DIR";
    if (!to->store)
        return strcmp(value, "redis") == 0
                   ? "this broker has no store in Redis: start it with --store URL"
                   : "durability must be 'memory', 'disk', 'interval:TIME' or 'redis'";
    return is_interval ? setting_parse(SETTING_MS, value + 9, 1, INTERVAL_MAX_MS, &to->number)
                       : NULL;
}

/* "100/s" becomes one number: jobs, and the milliseconds in which they may be delivered. */
static const char *read_rate(const Setting *setting, const char *value, uint64_t *ret) {
    static const char wrong[] =
        "rate must be a number of jobs per time, as 100/s, 30/m or 5/h, at most 1000000; 0: no "
        "limit";
    const char *slash = strchr(value, '/');
    uint64_t n, per_ms = 1000;
    char count[24];

    snprintf(count, sizeof(count), "%.*s", (int)(slash ? slash - value : 23), value);
    if (setting_parse(SETTING_COUNT, count, setting->min, setting->max, &n))
        return wrong;
    if (!slash && n > 0)
        return wrong;
    if (slash && strcmp(slash, "/s") != 0 && strcmp(slash, "/m") != 0 && strcmp(slash, "/h") != 0)
        return wrong;
    if (slash && slash[1] != 's')
        per_ms = slash[1] == 'm' ? 60000 : 3600000;
    *ret = n > 0 ? n << 32 | per_ms : 0;
    return NULL;
}

uint64_t queue_rate_us(const QueueSettings *of) {
    return of->rate ? (of->rate & UINT32_MAX) * 1000 / (of->rate >> 32) : 0;
}

static const char *read_value(Queues *queues, const Setting *setting, const char *value, Rule *to) {
    if (setting->type == SETTING_OVERFLOW) {
        to->number = strcmp(value, "drop-oldest") == 0 ? OVERFLOW_DROP_OLDEST : OVERFLOW_REFUSE;
        if (to->number == OVERFLOW_REFUSE && strcmp(value, "refuse") != 0)
            return "overflow must be 'refuse' or 'drop-oldest'";
        return NULL;
    }
    if (setting->type == SETTING_DURABILITY)
        return read_durability(queues, value, to);
    if (setting->type == SETTING_RATE)
        return read_rate(setting, value, &to->number);
    return setting_parse((SettingKind)setting->type, value, setting->min, setting->max,
                         &to->number);
}

static void configure_all(Queues *queues) {
    for (Queue *queue = queues->table; queue; queue = queue->hh.next) {
        queue_configure(queue);
        queue_touch(queue);
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
        *problem = "the section names neither a queue nor a pattern of queues";
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

/* A pattern applies to dead-letter queues only if it ends in .dead: a time to live for all queues
 * must not delete dead letters. */
static bool applies(const Rule *rule, Span queue) {
    if (!rule->is_wild)
        return rule->len == queue.len && memcmp(rule->pattern, queue.data, queue.len) == 0;
    if (queue_name_is_dead(queue) &&
        (rule->len < 5 || memcmp(rule->pattern + rule->len - 5, ".dead", 5) != 0))
        return false;
    return pattern_matches(rule->pattern, rule->len, queue.data, queue.len);
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

/* ---- settings by command: facts "set QUEUE KEY" ---- */

static const char set_prefix[] = "set ";

Span setting_fact(Buffer *to, Span queue, const char *key) {
    buffer_append(to, set_prefix, sizeof(set_prefix) - 1);
    buffer_append(to, queue.data, queue.len);
    buffer_append(to, " ", 1);
    buffer_append(to, key, strlen(key));
    return span_of(to->data, to->len);
}

/* These settings have precedence over all sections of the configuration. */
static void apply_set(Queues *queues, Span queue, QueueSettings *to) {
    CLEANUP(buffer_deinit) Buffer name = {0};

    for (size_t i = 0; i < sizeof(settings) / sizeof(*settings); i++) {
        Rule rule = {.setting = &settings[i]};
        char text[64];
        Span value;

        buffer_reset(&name);
        value = queues_fact_of(queues, queue, setting_fact(&name, queue, settings[i].key));
        if (value.len == 0)
            continue;
        snprintf(text, sizeof(text), "%.*s", (int)value.len, (const char *)value.data);
        if (read_value(queues, &settings[i], text, &rule))
            log_warning("a setting made with 'ferry queue set' is not possible now, ignoring it: "
                        "queue='%s' %s=%s",
                        shown(queue), settings[i].key, text);
        else
            apply(&rule, to);
    }
}

static void on_set(Span name, Span value, unsigned shard, void *ctx) {
    Queues *queues = ctx;
    Span rest = {name.data + sizeof(set_prefix) - 1, name.len - (sizeof(set_prefix) - 1)};
    const uint8_t *space = memchr(rest.data, ' ', rest.len);
    Queue *queue;

    (void)value, (void)shard;
    queues->n_set = 1; /* from now on each queue looks for settings by command */
    queue = space ? queue_find(queues, span_of(rest.data, (size_t)(space - rest.data))) : NULL;
    if (!queue)
        return;
    queue_configure(queue);
    queue_touch(queue);
}

void settings_watch_facts(Queues *queues) {
    queues_watch_facts(queues, set_prefix, on_set, queues);
}

const char *setting_problem(Queues *queues, const char *key, const char *value) {
    const Setting *setting = find_setting(key);
    Rule read = {.setting = setting};

    if (!setting)
        return no_such_setting(key);
    return *value ? read_value(queues, setting, value, &read) : NULL;
}

static void settings_of(Queues *queues, Span queue, QueueSettings *ret) {
    const Limits *limits = &queues->broker->limits;
    QueueSettings to = {
        .max_jobs = limits->max_queue_jobs,
        .max_bytes = limits->max_queue_bytes,
        .max_attempts = limits->max_attempts,
        .retry_ms = limits->retry_ms,
        .retry_max_ms = limits->retry_max_ms,
        .dedup_ms = limits->dedup_ms,
        .max_keys = QUEUE_KEYS_MAX,
        .overflow = OVERFLOW_REFUSE,
        .store = queues->default_store,
    };

    /* Apply rules in the order of the configuration; a section with the queue's own name comes
     * after all patterns. */
    for (int named = 0; named <= 1; named++)
        for (const Rule *rule = queues->rules; rule; rule = rule->next)
            if (rule->is_wild == !named && applies(rule, queue)) {
                apply(rule, &to);
                to.named |= named;
            }
    if (queues->n_set > 0)
        apply_set(queues, queue, &to);
    if (to.store->shard)
        to.store = shard_of(queues, queue);
    *ret = to;
}

Store *settings_store(Queues *queues, Span queue) {
    QueueSettings settings_now;

    settings_of(queues, queue, &settings_now);
    return settings_now.store;
}

void queue_next_settings(const Queue *queue, QueueSettings *ret) {
    settings_of(queue->queues, span_of(queue->name, queue->stored.name_len), ret);
}

void queue_configure(Queue *queue) {
    Span name = span_of(queue->name, queue->stored.name_len);
    Store *store = queue->settings.store;
    QueueSettings to;

    settings_of(queue->queues, name, &to);
    queue->keeps_store = store && store != to.store && queue->n_jobs > 0;
    if (queue->keeps_store) {
        log_warning("queue '%s' keeps its durability until its jobs are gone: %s", shown(name),
                    store->ops->durability);
        to.store = store;
        to.interval_ms = queue->settings.interval_ms;
    }
    queue->settings = to;
    queue->settings.store = store;
    if (store && store != to.store && queue->paused) {
        store_pause(store, 0, &queue->stored, false);
        store_pause(to.store, 0, &queue->stored, true);
    }
    queue_set_store(queue, to.store);
    queue->stored.interval_ms = to.interval_ms;
}
