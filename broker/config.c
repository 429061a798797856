/* The configuration file. See config.h. */

#include "broker/config.h"

#include <ini.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "broker/queues/queues.h"
#include "broker/topics/topics.h"
#include "rpc/link/endpoint.h"
#include "rpc/wire/name.h"

typedef enum Kind { COUNT32, BYTES32, BYTES64, TIME32 } Kind;

static const struct {
    const char *name;
    Kind kind;
    size_t offset;
} settings[] = {
    {"max_body", BYTES32, offsetof(Limits, max_body)},
    {"max_connections", COUNT32, offsetof(Limits, max_connections)},
    {"max_names", COUNT32, offsetof(Limits, max_names)},
    {"max_subscriptions", COUNT32, offsetof(Limits, max_subscriptions)},
    {"max_serves", COUNT32, offsetof(Limits, max_serves)},
    {"max_pulls", COUNT32, offsetof(Limits, max_pulls)},
    {"max_calls", COUNT32, offsetof(Limits, max_calls)},
    {"max_waiting_calls", COUNT32, offsetof(Limits, max_waiting_calls)},
    {"max_slots", COUNT32, offsetof(Limits, max_slots)},
    {"max_subscriber_bytes", BYTES64, offsetof(Limits, max_subscriber_bytes)},
    {"max_session_bytes", BYTES64, offsetof(Limits, max_session_bytes)},
    {"max_total_bytes", BYTES64, offsetof(Limits, max_total_bytes)},
    {"max_transfer_bytes", BYTES64, offsetof(Limits, max_transfer_bytes)},
    {"max_replay", COUNT32, offsetof(Limits, max_replay)},
    {"max_queue_jobs", COUNT32, offsetof(Limits, max_queue_jobs)},
    {"max_queue_bytes", BYTES64, offsetof(Limits, max_queue_bytes)},
    {"max_attempts", COUNT32, offsetof(Limits, max_attempts)},
    {"max_unconfirmed", COUNT32, offsetof(Limits, max_unconfirmed)},
    {"retry", TIME32, offsetof(Limits, retry_ms)},
    {"retry_max", TIME32, offsetof(Limits, retry_max_ms)},
    {"dedup", TIME32, offsetof(Limits, dedup_ms)},
    {"lease_grace", TIME32, offsetof(Limits, lease_grace_ms)},
    {"client_memory", TIME32, offsetof(Limits, client_memory_ms)},
};

enum { N_SETTINGS = sizeof(settings) / sizeof(*settings) };

typedef struct Reading {
    Config *config;
    const char *path;
    Broker *broker;
    ferry_error *reterr;
    FILE *file;
    int line;
    bool failed;
} Reading;

void config_init(Config *config) {
    *config = (Config){.log_level = -1, .drain_timeout_ms = 10000, .limits = limits_default};
}

void config_deinit(Config *config) {
    for (size_t i = 0; i < config->n_binds; i++)
        free(config->binds[i]);
    free(config->data);
    *config = (Config){0};
}

static int refuse(Reading *reading, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* inih wants 0 for a failure. Only the first is told. */
static int refuse(Reading *reading, int line, const char *format, ...) {
    char text[512];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (!reading->failed)
        error_set(reading->reterr, "ferry.InvalidArgument", "%s:%d: %s", reading->path, line, text);
    reading->failed = true;
    return 0;
}

static int parse(Kind kind, const char *text, uint64_t *ret) {
    char *end;
    int r;

    if (kind == TIME32)
        r = text_parse_ms(text, ret);
    else if (kind == COUNT32) {
        errno = 0;
        *ret = strtoull(text, &end, 10);
        r = *text == '\0' || *end != '\0' || *text == '-' || errno ? -EINVAL : 0;
    } else
        r = text_parse_bytes(text, ret);
    return r < 0 || (kind != BYTES64 && *ret > UINT32_MAX) ? -EINVAL : 0;
}

static int set_limit(Reading *reading, int line, size_t i, const char *value) {
    static const char *const wanted[] = {"a number", "a size as 64K or 16M", "a size as 64K or 16M",
                                         "a time as 250ms, 5s or 2m"};
    char *to = (char *)&reading->config->limits + settings[i].offset;
    uint64_t number;

    if (parse(settings[i].kind, value, &number) < 0)
        return refuse(reading, line, "%s wants %s, not '%s'", settings[i].name,
                      wanted[settings[i].kind], value);
    if (settings[i].kind == BYTES64)
        memcpy(to, &number, sizeof(uint64_t));
    else
        memcpy(to, &(uint32_t){(uint32_t)number}, sizeof(uint32_t));
    return 1;
}

static int refuse_name(Reading *reading, int line, const char *name) {
    enum { N_OTHERS = 5 };
    const char *names[N_SETTINGS + N_OTHERS] = {"bind", "data", "log_level", "drain_timeout",
                                                "one_processor"};
    const char *nearest;

    for (size_t i = 0; i < N_SETTINGS; i++)
        names[i + N_OTHERS] = settings[i].name;
    nearest = text_nearest(name, names, N_SETTINGS + N_OTHERS);
    return refuse(reading, line, "[broker] has no setting '%s'%s%s%s", name,
                  nearest ? "; did you mean '" : "", nearest ? nearest : "", nearest ? "'?" : "");
}

static int parse_together(const char *text, Together *ret) {
    static const char *const names[] = {
        [TOGETHER_AUTO] = "auto", [TOGETHER_YES] = "yes", [TOGETHER_NO] = "no"};

    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        if (strcmp(text, names[i]) == 0) {
            *ret = (Together)i;
            return 0;
        }
    return -EINVAL;
}

static int set_broker(Reading *reading, int line, const char *name, const char *value) {
    Config *config = reading->config;
    LogLevel level;
    uint64_t ms;

    if (strcmp(name, "bind") == 0) {
        if (endpoint_problem(value, ENDPOINT_BIND))
            return refuse(reading, line, "cannot listen on '%s': %s", value,
                          endpoint_problem(value, ENDPOINT_BIND));
        if (config->n_binds == BINDS_MAX)
            return refuse(reading, line, "more than %d bind lines", BINDS_MAX);
        config->binds[config->n_binds] = strdup(value);
        return config->binds[config->n_binds] ? (int)++config->n_binds > 0 : 0;
    }
    if (strcmp(name, "data") == 0) {
        free(config->data);
        config->data = strdup(value);
        return config->data != NULL;
    }
    if (strcmp(name, "log_level") == 0) {
        if (log_level_parse(value, &level) < 0)
            return refuse(reading, line, "log_level is error, warning, info or debug, not '%s'",
                          value);
        config->log_level = (int)level;
        return 1;
    }
    if (strcmp(name, "drain_timeout") == 0) {
        if (text_parse_ms(value, &ms) < 0 || ms > UINT32_MAX)
            return refuse(reading, line, "drain_timeout wants a time as 5s, not '%s'", value);
        config->drain_timeout_ms = (uint32_t)ms;
        return 1;
    }
    if (strcmp(name, "one_processor") == 0) {
        if (parse_together(value, &config->together) < 0)
            return refuse(reading, line, "one_processor is auto, yes or no, not '%s'", value);
        return 1;
    }
    for (size_t i = 0; i < N_SETTINGS; i++)
        if (strcmp(name, settings[i].name) == 0)
            return set_limit(reading, line, i, value);
    return refuse_name(reading, line, name);
}

/* "[queue mail.>]": the pattern behind the kind. */
static const char *pattern_in(const char *section, const char *kind) {
    size_t len = strlen(kind);

    if (strncmp(section, kind, len) != 0 || section[len] != ' ')
        return NULL;
    return section + len + strspn(section + len, " ");
}

static int set_for_pattern(Reading *reading, int line, const char *kind, const char *pattern,
                           const char *name, const char *value) {
    const char *problem = NULL;
    int r;

    if (!pattern_is_valid(pattern, strlen(pattern)))
        return refuse(reading, line, "'%s' is no pattern of names", pattern);
    if (!reading->broker)
        return 1;
    r = strcmp(kind, "queue") == 0
            ? queues_configure(reading->broker->queues, pattern, name, value, &problem)
            : topics_configure(reading->broker->topics, pattern, name, value, &problem);
    return r < 0 ? refuse(reading, line, "[%s %s] %s = %s: %s", kind, pattern, name, value,
                          problem ? problem : "refused")
                 : 1;
}

static int on_line(void *user, const char *section, const char *name, const char *value) {
    static const char *const kinds[] = {"queue", "topic"};
    Reading *reading = user;
    int line = reading->line;

    if (strcmp(section, "broker") == 0)
        return set_broker(reading, line, name, value);
    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
        const char *pattern = pattern_in(section, kinds[i]);

        if (pattern)
            return set_for_pattern(reading, line, kinds[i], pattern, name, value);
    }
    return refuse(reading, line,
                  "no section is called [%s]: [broker], [queue PATTERN] and [topic PATTERN] are",
                  section);
}

/* inih does not tell its handler the line. */
static char *read_line(char *to, int size, void *user) {
    Reading *reading = user;

    reading->line++;
    return fgets(to, size, reading->file);
}

int config_read(Config *config, const char *path, Broker *broker, ferry_error *reterr) {
    Reading reading = {.config = config, .path = path, .broker = broker, .reterr = reterr};
    FILE *file = fopen(path, "re");
    int r;

    if (!file)
        return error_set_code(reterr, -errno, "cannot read %s: %s", path, strerror(errno));
    reading.file = file;
    r = ini_parse_stream(read_line, &reading, on_line, &reading);
    fclose(file);
    if (reading.failed)
        return -EINVAL;
    if (r != 0)
        return error_set(reterr, "ferry.InvalidArgument", "%s:%d: this is no 'name = value'", path,
                         r > 0 ? r : 1);
    return 0;
}
