/* SPDX-License-Identifier: Apache-2.0 */
/* Writes log lines to standard error: time, level and event, or JSON. Under systemd a line begins
 * with its priority. See log.h. */

#include "base/log.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/text.h"

LogLevel log_level = LOG_LEVEL_INFO;
LogFormat log_format = LOG_TEXT;

static const char *const names[] = {"error", "warning", "info", "debug"};

int log_level_parse(const char *name, LogLevel *ret) {
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        if (strcmp(name, names[i]) == 0) {
            *ret = (LogLevel)i;
            return 0;
        }
    return -EINVAL;
}

static uint64_t n_dropped; /* atomic: lines since the last one that was written */

uint64_t log_dropped(void) {
    return __atomic_load_n(&n_dropped, __ATOMIC_RELAXED);
}

/* If standard error is a pipe that no process reads, the program must not block: a line that would
 * have to wait is dropped and counted. A pipe that is ready accepts PIPE_BUF bytes at once. */
static bool put_line(const char *line, size_t len) {
    struct pollfd out = {STDERR_FILENO, POLLOUT, 0};

    if (poll(&out, 1, 0) == 0)
        return false;
    return write(STDERR_FILENO, line, len < PIPE_BUF ? len : PIPE_BUF) >= 0;
}

/* ---- JSON ---- */

/* A line of limited length. It always has room for its end; values that do not fit are left out. */
typedef struct JsonLine {
    char text[PIPE_BUF];
    size_t len;
} JsonLine;

enum { JSON_END = 8 }; /* room for the quote, brace and newline after the last value */

static void json_add(JsonLine *line, const char *text, size_t len) {
    if (line->len + len + JSON_END > sizeof(line->text))
        return;
    memcpy(line->text + line->len, text, len);
    line->len += len;
}

/* Adds a text as a string. text_copy_safe() has replaced its control characters before. */
static void json_add_string(JsonLine *line, const char *text, size_t len) {
    json_add(line, "\"", 1);
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '"' || text[i] == '\\') {
            json_add(line, (char[]){'\\', text[i]}, 2);
            continue;
        }
        /* Add whole characters only: a part of one would not be UTF-8. */
        size_t n = 1;

        while (i + n < len && ((unsigned char)text[i + n] & 0xC0) == 0x80)
            n++;
        json_add(line, text + i, n);
        i += n - 1;
    }
    /* The loop has left room for the quote. */
    line->text[line->len++] = '"';
}

static bool is_number(const char *text, size_t len) {
    return len > 0 && len < 19 && strspn(text, "0123456789") >= len && (*text != '0' || len == 1);
}

/* The next "key=value" or "key='some words'". Returns its length; 0: the text has another form. */
static size_t pair_at(const char *text, size_t *ret_key, const char **ret_value, size_t *ret_len) {
    size_t key = strspn(text, "abcdefghijklmnopqrstuvwxyz_0123456789");
    const char *value = text + key + 1, *end;

    if (key == 0 || text[key] != '=')
        return 0;
    end = *value == '\'' ? strchr(value + 1, '\'') : value + strcspn(value, " ");
    if (!end)
        return 0;
    *ret_key = key;
    *ret_value = *value == '\'' ? value + 1 : value;
    *ret_len = (size_t)(end - *ret_value);
    return (size_t)(end - text) + (*value == '\'');
}

static bool are_pairs(const char *text) {
    const char *value;
    size_t key, len, n;

    while ((n = pair_at(text, &key, &value, &len)) > 0) {
        text += n;
        if (!*text)
            return true;
        if (*text++ != ' ')
            return false;
    }
    return false;
}

/* The start of the values in the message "…: key=value …"; NULL: the message has no values. */
static const char *values_of(const char *text) {
    for (const char *at = text; (at = strstr(at, ": ")); at += 2)
        if (are_pairs(at + 2))
            return at + 2;
    return NULL;
}

static void json_add_values(JsonLine *line, const char *values) {
    const char *value;
    size_t key, len, n;

    for (; *values && (n = pair_at(values, &key, &value, &len)) > 0; values += n) {
        bool is_quoted = values[key + 1] == '\'';

        /* If a value does not fit, it is left out together with its key. */
        if (line->len + key + 2 * (len + JSON_END) > sizeof(line->text))
            return;
        json_add(line, ",", 1);
        json_add_string(line, values, key);
        json_add(line, ":", 1);
        if (!is_quoted && is_number(value, len))
            json_add(line, value, len);
        else
            json_add_string(line, value, len);
        n += values[n] == ' ';
    }
}

static bool put_json(LogLevel level, const char *prefix, const char *when, const char *text) {
    const char *values = values_of(text);
    JsonLine line = {.len = 0};

    json_add(&line, prefix, strlen(prefix));
    json_add(&line, "{\"time\":", 8);
    json_add_string(&line, when, strlen(when));
    json_add(&line, ",\"level\":", 9);
    json_add_string(&line, names[level], strlen(names[level]));
    json_add(&line, ",\"message\":", 11);
    json_add_string(&line, text, values ? (size_t)(values - text) - 2 : strlen(text));
    if (values)
        json_add_values(&line, values);
    memcpy(line.text + line.len, "}\n", 2);
    return put_line(line.text, line.len + 2);
}

/* ---- lines ---- */

static bool put_text(LogLevel level, const char *prefix, const char *when, const char *text) {
    char line[PIPE_BUF];
    int len = *prefix ? snprintf(line, sizeof(line), "%s%s\n", prefix, text)
                      : snprintf(line, sizeof(line), "%s %-7s %s\n", when, names[level], text);

    if (len >= (int)sizeof(line)) {
        len = sizeof(line) - 1;
        line[len - 1] = '\n';
    }
    return put_line(line, (size_t)len);
}

static void put_event(LogLevel level, const char *text) {
    static const char *const priorities[] = {"<3>", "<4>", "<6>", "<7>"}; /* syslog(3) */
    const char *prefix = getenv("JOURNAL_STREAM") ? priorities[level] : "";
    char when[48] = "";
    struct timespec now;
    struct tm parts;
    size_t n = 0;

    clock_gettime(CLOCK_REALTIME, &now);
    if (gmtime_r(&now.tv_sec, &parts))
        n = strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(when + n, sizeof(when) - n, ".%03ldZ", now.tv_nsec / 1000000);
    if (!(log_format == LOG_JSON ? put_json : put_text)(level, prefix, when, text))
        __atomic_add_fetch(&n_dropped, 1, __ATOMIC_RELAXED);
}

void log_write(LogLevel level, const char *format, ...) {
    char line[2048], shown[4096], text[96];
    uint64_t dropped = __atomic_exchange_n(&n_dropped, 0, __ATOMIC_RELAXED);
    va_list args;

    va_start(args, format);
    vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    if (dropped > 0) {
        snprintf(text, sizeof(text),
                 "log lines were dropped because standard error was not read: lines=%llu",
                 (unsigned long long)dropped);
        put_event(LOG_LEVEL_WARNING, text);
        /* Standard error is still not read: keep the count. */
        if (log_dropped() > 0) {
            __atomic_add_fetch(&n_dropped, dropped, __ATOMIC_RELAXED);
            return;
        }
    }

    /* One event is one line, even if it contains an error message of a peer with line ends. */
    for (char *end = line; (end = strchr(end, '\n'));)
        *end = ' ';
    text_copy_safe(shown, sizeof(shown), line);
    put_event(level, shown);
}
