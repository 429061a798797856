/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the configuration file. See config.h. */

#include "broker/config.h"

#include <assert.h>
#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <utlist.h>

#include "base/error.h"
#include "base/log.h"
#include "base/setting.h"
#include "base/text.h"
#include "broker/admin/binds.h"
#include "broker/queues/queues.h"
#include "broker/topics/topics.h"
#include "rpc/address/endpoint.h"
#include "rpc/wire/name.h"

static const struct {
    const char *name;
    SettingKind kind;
    bool is_64; /* true: the limit is a uint64_t; false: a uint32_t */
    size_t offset;
} settings[] = {
    {"max_memory", SETTING_BYTES, true, offsetof(Limits, max_memory)},
    {"max_body", SETTING_BYTES, false, offsetof(Limits, max_body)},
    {"max_connections", SETTING_COUNT, false, offsetof(Limits, max_connections)},
    {"max_connections_per_address", SETTING_COUNT, false,
     offsetof(Limits, max_connections_per_address)},
    {"max_handshakes_per_address", SETTING_PER_SECOND, false,
     offsetof(Limits, max_handshakes_per_address)},
    {"max_unfinished_per_address", SETTING_COUNT, false,
     offsetof(Limits, max_unfinished_per_address)},
    {"max_names", SETTING_COUNT, false, offsetof(Limits, max_names)},
    {"max_subscriptions", SETTING_COUNT, false, offsetof(Limits, max_subscriptions)},
    {"max_serves", SETTING_COUNT, false, offsetof(Limits, max_serves)},
    {"max_pulls", SETTING_COUNT, false, offsetof(Limits, max_pulls)},
    {"max_calls", SETTING_COUNT, false, offsetof(Limits, max_calls)},
    {"max_waiting_calls", SETTING_COUNT, false, offsetof(Limits, max_waiting_calls)},
    {"max_slots", SETTING_COUNT, false, offsetof(Limits, max_slots)},
    {"max_subscriber_bytes", SETTING_BYTES, true, offsetof(Limits, max_subscriber_bytes)},
    {"max_session_bytes", SETTING_BYTES, true, offsetof(Limits, max_session_bytes)},
    {"max_total_bytes", SETTING_BYTES, true, offsetof(Limits, max_total_bytes)},
    {"max_queue_memory", SETTING_BYTES, true, offsetof(Limits, max_queue_memory)},
    {"max_transfer_bytes", SETTING_BYTES, true, offsetof(Limits, max_transfer_bytes)},
    {"max_replay", SETTING_COUNT, false, offsetof(Limits, max_replay)},
    {"max_queue_jobs", SETTING_COUNT, false, offsetof(Limits, max_queue_jobs)},
    {"max_queue_bytes", SETTING_BYTES, true, offsetof(Limits, max_queue_bytes)},
    {"max_attempts", SETTING_COUNT, false, offsetof(Limits, max_attempts)},
    {"max_unconfirmed", SETTING_COUNT, false, offsetof(Limits, max_unconfirmed)},
    {"retry", SETTING_MS, false, offsetof(Limits, retry_ms)},
    {"retry_max", SETTING_MS, false, offsetof(Limits, retry_max_ms)},
    {"dedup", SETTING_MS, false, offsetof(Limits, dedup_ms)},
    {"lease_grace", SETTING_MS, false, offsetof(Limits, lease_grace_ms)},
    {"client_memory", SETTING_MS, false, offsetof(Limits, client_memory_ms)},
};

enum {
    MAX_MEMORY = 0,     /* index of max_memory in `settings` */
    RATE_MAX = 1000000, /* per second */
    SECTION_MAX = 512,
    CLUSTER_MAX = 63,
    N_SETTINGS = sizeof(settings) / sizeof(*settings)
};

static_assert((int)N_SETTINGS <= (int)CONFIG_SETTINGS_MAX, "a line for each setting");

typedef struct ConfigReading {
    Config *config;
    FILE *file;
    int line;
    bool in_line;              /* the last piece that was read ended within a line */
    bool has_setting;          /* the section has a setting, which an indented line continues */
    char section[SECTION_MAX]; /* the name of the section */
} ConfigReading;

void config_init(Config *config) {
    *config = (Config){
        .ipc_mode = 0600, .log_level = -1, .drain_timeout_ms = 10000, .limits = limits_default};
}

void config_deinit(Config *config) {
    ConfigRule *rule;

    while ((rule = config->rules)) {
        config->rules = rule->next;
        free(rule);
    }
    for (size_t i = 0; i < config->n_binds; i++)
        free(config->binds[i]);
    for (size_t i = 0; i < config->n_errors; i++)
        free(config->errors[i].text);
    for (unsigned i = 0; i < config->n_keys; i++)
        key_pair_free(config->keys[i]);
    rights_free(config->rights);
    free(config->data);
    free(config->web);
    free(config->store);
    free(config->advertise);
    free(config->cluster);
    free(config->path);
    *config = (Config){0};
}

/* ---- errors ---- */

static void add_error(Config *config, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void add_error(Config *config, int line, const char *format, ...) {
    char text[512];
    size_t at = config->n_errors;
    va_list args;

    if (at == CONFIG_ERRORS_MAX)
        return;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    /* Keep the order of lines: config_apply() adds errors of earlier lines after config_read(). */
    for (; at > 0 && config->errors[at - 1].line > line; at--)
        config->errors[at] = config->errors[at - 1];
    config->errors[at] = (ConfigError){line, strdup(text)};
    config->n_errors++;
}

void config_error_format(const Config *config, size_t i, char *to, size_t size) {
    const ConfigError *error = &config->errors[i];
    const char *text = error->text ? error->text : "out of memory";

    if (error->line > 0)
        snprintf(to, size, "%s:%d: %s", config->path, error->line, text);
    else
        snprintf(to, size, "%s", text);
}

/* ---- [broker] ---- */

static uint64_t *size_of(Limits *limits, size_t i) {
    return (uint64_t *)(void *)((char *)limits + settings[i].offset);
}

static void set_size(ConfigReading *reading, size_t i, uint64_t number) {
    *size_of(&reading->config->limits, i) = number;
    reading->config->set_at[i] = reading->line;
}

static void set_limit(ConfigReading *reading, size_t i, const char *value) {
    char *to = (char *)&reading->config->limits + settings[i].offset;
    uint64_t number;
    uint64_t max = settings[i].kind == SETTING_PER_SECOND ? RATE_MAX
                   : settings[i].is_64                    ? UINT64_MAX
                                                          : UINT32_MAX;
    const char *problem = setting_parse(settings[i].kind, value, 0, max, &number);

    if (problem)
        add_error(reading->config, reading->line, "%s = %s: %s", settings[i].name, value, problem);
    else if (settings[i].is_64)
        set_size(reading, i, number);
    else
        memcpy(to, &(uint32_t){(uint32_t)number}, sizeof(uint32_t));
}

static void refuse_name(ConfigReading *reading, const char *name) {
    enum { N_OTHERS = 10 };
    const char *names[N_SETTINGS + N_OTHERS] = {
        "bind",          "data", "ipc_mode", "log_level", "log_format",
        "drain_timeout", "web",  "store",    "cluster",   "advertise"};
    const char *nearest;

    for (size_t i = 0; i < N_SETTINGS; i++)
        names[i + N_OTHERS] = settings[i].name;
    nearest = text_nearest(name, names, N_SETTINGS + N_OTHERS);
    add_error(reading->config, reading->line, "[broker] has no setting '%s'%s%s%s", name,
              nearest ? "; did you mean '" : "", nearest ? nearest : "", nearest ? "'?" : "");
}

static void set_bind(ConfigReading *reading, const char *value) {
    Config *config = reading->config;
    const char *problem = endpoint_problem(value, ENDPOINT_BIND);
    char *copy, shown[TEXT_ESCAPED_MAX];

    if (problem)
        add_error(config, reading->line, "cannot listen on '%s': %s", text_escape_url(shown, value),
                  problem);
    else if (config->n_binds == BINDS_MAX)
        add_error(config, reading->line, "more than %d bind lines", BINDS_MAX);
    else if (!(copy = strdup(value)))
        add_error(config, reading->line, "out of memory");
    else
        config->binds[config->n_binds++] = copy;
}

/* Permissions in octal digits, as chmod(1) takes them. */
static void set_ipc_mode(ConfigReading *reading, const char *value) {
    size_t len = strlen(value);

    if (len < 3 || len > 4 || value[strspn(value, "01234567")] || (len == 4 && *value != '0') ||
        strtoul(value, NULL, 8) == 0)
        add_error(reading->config, reading->line,
                  "ipc_mode must be three octal digits, for example 600 or 660, not '%s'", value);
    else
        reading->config->ipc_mode = (unsigned)strtoul(value, NULL, 8);
}

const char *config_web_problem(const char *address) {
    char endpoint[256];

    snprintf(endpoint, sizeof(endpoint), "tcp://%s", address);
    if (strchr(address, '*') || endpoint_problem(endpoint, ENDPOINT_BIND))
        return "it is not an address with a port, as in 127.0.0.1:5878";
    return endpoint_is_local(endpoint)
               ? NULL
               : "other machines can reach it: 'ferry web' with tokens and TLS serves them";
}

/* problem: why the value is wrong; NULL: it is right. */
static void take_text(ConfigReading *reading, const char *name, const char *value,
                      const char *problem, char **to) {
    free(*to);
    *to = strdup(value);
    if (problem)
        add_error(reading->config, reading->line, "%s = %s: %s", name, value, problem);
    else if (!*to)
        add_error(reading->config, reading->line, "out of memory");
}

static void set_web(ConfigReading *reading, const char *value) {
    Config *config = reading->config;
    const char *problem = config_web_problem(value);

    take_text(reading, "web", value, problem, &config->web);
}

const char *config_advertise_problem(const char *url) {
    const char *problem = endpoint_problem(url, ENDPOINT_CONNECT);

    if (problem || strncmp(url, "tcp://", strlen("tcp://")) != 0)
        return problem ? problem : "it is not tcp://HOST:PORT";
    return strlen(url) < STORE_URL_MAX ? NULL : "it is longer than 255 bytes";
}

static void set_advertise(ConfigReading *reading, const char *value) {
    take_text(reading, "advertise", value, config_advertise_problem(value),
              &reading->config->advertise);
}

static void set_cluster(ConfigReading *reading, const char *value) {
    Config *config = reading->config;
    size_t len = strlen(value);
    const char *problem =
        len > CLUSTER_MAX ? "it is longer than 63 bytes" : name_problem(value, len);

    take_text(reading, "cluster", value, problem, &config->cluster);
}

static void set_broker(ConfigReading *reading, const char *name, const char *value) {
    Config *config = reading->config;
    const char *problem;
    LogLevel level;
    uint64_t ms;

    if (strcmp(name, "bind") == 0) {
        set_bind(reading, value);
    } else if (strcmp(name, "data") == 0) {
        free(config->data);
        config->data = strdup(value);
    } else if (strcmp(name, "store") == 0) {
        free(config->store);
        config->store = strdup(value);
    } else if (strcmp(name, "advertise") == 0) {
        set_advertise(reading, value);
    } else if (strcmp(name, "cluster") == 0) {
        set_cluster(reading, value);
    } else if (strcmp(name, "ipc_mode") == 0) {
        set_ipc_mode(reading, value);
    } else if (strcmp(name, "web") == 0) {
        set_web(reading, value);
    } else if (strcmp(name, "log_level") == 0) {
        if (log_level_parse(value, &level) < 0)
            add_error(config, reading->line,
                      "log_level must be error, warning, info or debug, not '%s'", value);
        else
            config->log_level = (int)level;
    } else if (strcmp(name, "log_format") == 0) {
        config->log_json = strcmp(value, "json") == 0;
        if (!config->log_json && strcmp(value, "text") != 0)
            add_error(config, reading->line, "log_format must be text or json, not '%s'", value);
    } else if (strcmp(name, "drain_timeout") == 0) {
        problem = setting_parse(SETTING_MS, value, 0, UINT32_MAX, &ms);
        if (problem)
            add_error(config, reading->line, "drain_timeout = %s: %s", value, problem);
        else
            config->drain_timeout_ms = (uint32_t)ms;
    } else {
        for (size_t i = 0; i < N_SETTINGS; i++)
            if (strcmp(name, settings[i].name) == 0) {
                set_limit(reading, i, value);
                return;
            }
        refuse_name(reading, name);
    }
}

/* ---- [server] ---- */

static void set_server(ConfigReading *reading, const char *setting, const char *value) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    CLEANUP(key_pair_free) KeyPair *pair = NULL;
    Config *config = reading->config;

    if (strcmp(setting, "key") != 0) {
        add_error(config, reading->line, "[server] has no setting '%s', only 'key'", setting);
        return;
    }
    if (config->n_keys == CURVE_SERVER_KEYS_MAX) {
        add_error(config, reading->line, "more than %d keys of the server", CURVE_SERVER_KEYS_MAX);
        return;
    }
    if (key_file_read(value, &pair, &error) < 0) {
        add_error(config, reading->line, "key: %s", error.message);
        return;
    }
    for (unsigned i = 0; i < config->n_keys; i++)
        if (memcmp(config->keys[i]->public_key, pair->public_key, KEY_SIZE) == 0) {
            add_error(config, reading->line, "key: %s is the key of an earlier line", value);
            return;
        }
    config->keys_at = config->n_keys == 0 ? reading->line : config->keys_at;
    config->keys[config->n_keys++] = steal(&pair);
}

/* Keys need both ends: the broker has a key and at least one user has one, or there is no key. */
static void check_keys(Config *config) {
    bool users_have = config->rights && rights_have_key(config->rights);

    if (config->n_errors > 0)
        return;
    if (config->n_keys > 0 && !users_have)
        add_error(config, config->keys_at,
                  "[server] has a key, but no [user] has one: no client could connect over tcp://");
    if (config->n_keys == 0 && users_have)
        add_error(config, 0,
                  "a [user] has a key, but the broker has none: add [server] with "
                  "'key = FILE' ('ferry key new FILE')");
}

/* ---- [queue …] and [topic …] ---- */

/* The pattern in a section's name like "[queue mail.>]". */
static const char *pattern_in(const char *section, const char *kind) {
    size_t len = strlen(kind);

    if (strncmp(section, kind, len) != 0 || section[len] != ' ')
        return NULL;
    return section + len + strspn(section + len, " ");
}

static char *put_text(char **at, const char *text) {
    char *to = *at;

    *at = stpcpy(to, text) + 1;
    return to;
}

static void add_rule(ConfigReading *reading, bool is_queue, const char *pattern, const char *name,
                     const char *value) {
    const char *problem = pattern_problem(pattern, strlen(pattern));
    ConfigRule *rule;
    char *at;

    if (problem) {
        add_error(reading->config, reading->line, "'%s' is not a valid pattern of names: %s",
                  pattern, problem);
        pattern = ">"; /* so that the setting itself is checked, too */
    }
    rule = malloc(sizeof(*rule) + strlen(pattern) + strlen(name) + strlen(value) + 3);
    if (!rule) {
        add_error(reading->config, reading->line, "out of memory");
        return;
    }
    *rule = (ConfigRule){.line = reading->line, .is_queue = is_queue};
    at = rule->text;
    rule->pattern = put_text(&at, pattern);
    rule->name = put_text(&at, name);
    rule->value = put_text(&at, value);
    LL_APPEND(reading->config->rules, rule);
}

/* ---- [user …] and [group …] ---- */

static bool is_of_rights(const char *section, bool *is_group, const char **name) {
    *name = pattern_in(section, "user");
    *is_group = !*name;
    if (*is_group)
        *name = pattern_in(section, "group");
    return *name != NULL;
}

static void check_rights(const ConfigReading *reading, int r, int line, const char *problem) {
    if (r < 0)
        add_error(reading->config, line, "%s", r == -EINVAL ? problem : strerror(-r));
}

/* A section without settings counts, too: the section "[user nobody]" closes the broker to all
 * other users. */
static void begin_rights(ConfigReading *reading) {
    char problem[RIGHTS_PROBLEM_MAX];
    const char *name;
    bool is_group;

    if (!is_of_rights(reading->section, &is_group, &name))
        return;
    if (!reading->config->rights)
        reading->config->rights = rights_new();
    check_rights(reading,
                 reading->config->rights ? rights_section(reading->config->rights, is_group, name,
                                                          reading->line, problem)
                                         : -ENOMEM,
                 reading->line, problem);
}

static void end_rights(ConfigReading *reading) {
    char problem[RIGHTS_PROBLEM_MAX];
    int line = 0, r;

    if (!reading->config->rights || reading->config->n_errors > 0)
        return;
    r = rights_complete(reading->config->rights, geteuid(), &line, problem);
    check_rights(reading, r, line, problem);
}

/* ---- the file ---- */

/* Begins a section if the line is its head. inih gives its handler only the first 49 bytes of a
 * section's name, so this function notes the whole name. */
static void begin_section(ConfigReading *reading, const char *line) {
    const char *start = line + strspn(line, " \t");
    size_t len = strcspn(start, "]");

    if (*start != '[' || start[len] != ']' || (start > line && reading->has_setting))
        return;
    if (len > sizeof(reading->section))
        add_error(reading->config, reading->line, "the name of the section is longer than %d bytes",
                  SECTION_MAX - 1);
    snprintf(reading->section, sizeof(reading->section), "%.*s", (int)len - 1, start + 1);
    reading->has_setting = false;
    begin_rights(reading);
}

static int on_setting(void *user, const char *cut_section, const char *name, const char *value) {
    char problem[RIGHTS_PROBLEM_MAX];
    ConfigReading *reading = user;
    const char *section = reading->section, *pattern;
    bool is_group;

    (void)cut_section;
    reading->has_setting = true;
    if (strcmp(section, "broker") == 0)
        set_broker(reading, name, value);
    else if (strcmp(section, "server") == 0)
        set_server(reading, name, value);
    else if ((pattern = pattern_in(section, "queue")))
        add_rule(reading, true, pattern, name, value);
    else if ((pattern = pattern_in(section, "topic")))
        add_rule(reading, false, pattern, name, value);
    else if (is_of_rights(section, &is_group, &pattern) && reading->config->rights)
        check_rights(reading,
                     rights_set(reading->config->rights, is_group, pattern, name, value,
                                reading->line, problem),
                     reading->line, problem);
    else
        add_error(reading->config, reading->line,
                  "unknown section [%s]: the sections are [broker], [server], [queue PATTERN], "
                  "[topic PATTERN], [user NAME] and [group NAME]",
                  section);
    return 1;
}

/* inih reports only the first line that it cannot parse, so read_line() checks each line. A line
 * that begins with a space continues the line before. */
static bool is_parsable(const char *line) {
    if (strchr(" \t\r\n;#", *line))
        return true;
    return *line == '[' ? strchr(line, ']') != NULL : strpbrk(line, "=:") != NULL;
}

/* Notes the number of the line, which inih does not give to its handler. */
static char *read_line(char *to, int size, void *user) {
    ConfigReading *reading = user;
    char *line = fgets(to, size, reading->file);

    if (!line)
        return NULL;
    reading->line += !reading->in_line;
    if (!reading->in_line && !is_parsable(line))
        add_error(reading->config, reading->line, "expected 'name = value' or '[section]'");
    if (!reading->in_line)
        begin_section(reading, line);
    reading->in_line = !strchr(line, '\n');
    if (reading->in_line && !feof(reading->file) && (int)strlen(line) == size - 1)
        add_error(reading->config, reading->line, "the line is longer than %d bytes", size - 2);
    return line;
}

int config_read(Config *config, const char *path) {
    ConfigReading reading = {.config = config};
    FILE *file = fopen(path, "re");
    int r;

    config->path = strdup(path);
    if (!file || !config->path) {
        r = !file ? -errno : -ENOMEM;
        add_error(config, 0, "cannot read %s: %s", path, strerror(-r));
        if (file)
            fclose(file);
        return r;
    }
    reading.file = file;
    r = ini_parse_stream(read_line, &reading, on_setting, &reading);
    fclose(file);
    if (r != 0 && config->n_errors == 0)
        add_error(config, r > 0 ? r : 1, "expected 'name = value' or '[section]'");
    end_rights(&reading);
    check_keys(config);
    return config->n_errors > 0 ? -EINVAL : 0;
}

void config_fit(Config *config, uint64_t memory) {
    Limits set = config->limits;
    char max[16], allowed[16];

    limits_fit(&config->limits, memory);
    text_format_bytes(max, config->limits.max_memory);
    text_format_bytes(allowed, memory);
    if (config->limits.max_memory > memory)
        add_error(config, config->set_at[MAX_MEMORY],
                  "max_memory = %s is too large: this process may use only %s of memory", max,
                  allowed);
    for (size_t i = 0; i < N_SETTINGS; i++) {
        if (i == MAX_MEMORY || !settings[i].is_64 || config->set_at[i] == 0)
            continue;
        *size_of(&config->limits, i) = *size_of(&set, i);
        /* Jobs of a queue on disk need not be in memory, so this size may be larger. */
        if (settings[i].offset == offsetof(Limits, max_queue_bytes))
            continue;
        if (*size_of(&set, i) > config->limits.max_memory && config->limits.max_memory > 0)
            add_error(config, config->set_at[i],
                      "%s is more than max_memory, which is %s; this process may use %s of memory",
                      settings[i].name, max, allowed);
    }
}

void config_require_keys(Config *config) {
    if (config->n_keys == 0 && config->n_errors == 0)
        add_error(config, 0,
                  "the broker listens beyond this machine: [server] needs a key, and "
                  "users need keys");
}

static int apply_rule(const ConfigRule *rule, Broker *broker, const char **problem) {
    if (!rule->is_queue)
        return topics_configure(broker->topics, rule->pattern, rule->name, rule->value, problem);
    if (strcmp(rule->name, "bind") == 0)
        return binds_configure(broker->binds, rule->pattern, rule->value, problem);
    return queues_configure(broker->queues, rule->pattern, rule->name, rule->value, problem);
}

int config_apply(Config *config, Broker *broker) {
    for (const ConfigRule *rule = config->rules; rule; rule = rule->next) {
        const char *problem = NULL;
        int r = apply_rule(rule, broker, &problem);

        if (r < 0)
            add_error(config, rule->line, "[%s %s] %s = %s: %s", rule->is_queue ? "queue" : "topic",
                      rule->pattern, rule->name, rule->value, problem ? problem : strerror(-r));
    }
    return config->n_errors > 0 ? -EINVAL : 0;
}
