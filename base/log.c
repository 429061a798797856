/* SPDX-License-Identifier: Apache-2.0 */
/* Lines on standard error: time, level, event. Under systemd, its priority prefix instead. */

#include "base/log.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/text.h"

LogLevel log_level = LOG_LEVEL_INFO;

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

/* A pipe that nobody reads must not stop the program: a line that would wait is dropped and
 * counted. A pipe that is ready takes PIPE_BUF bytes at once. */
static bool put_line(const char *line, size_t len) {
    struct pollfd out = {STDERR_FILENO, POLLOUT, 0};

    if (poll(&out, 1, 0) == 0)
        return false;
    return write(STDERR_FILENO, line, len < PIPE_BUF ? len : PIPE_BUF) >= 0;
}

static void put_event(LogLevel level, const char *text) {
    static const int priorities[] = {3, 4, 6, 7}; /* syslog(3) */
    char line[PIPE_BUF], when[32] = "";
    struct timespec now;
    struct tm parts;
    int len;

    if (getenv("JOURNAL_STREAM")) {
        len = snprintf(line, sizeof(line), "<%d>%s\n", priorities[level], text);
    } else {
        clock_gettime(CLOCK_REALTIME, &now);
        if (gmtime_r(&now.tv_sec, &parts))
            strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%S", &parts);
        len = snprintf(line, sizeof(line), "%s.%03ldZ %-7s %s\n", when, now.tv_nsec / 1000000,
                       names[level], text);
    }
    if (len >= (int)sizeof(line)) {
        len = sizeof(line) - 1;
        line[len - 1] = '\n';
    }
    if (!put_line(line, (size_t)len))
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
                 "log lines were dropped, standard error was not read: lines=%llu",
                 (unsigned long long)dropped);
        put_event(LOG_LEVEL_WARNING, text);
        /* Still not read: the lines stay counted. */
        if (log_dropped() > 0) {
            __atomic_add_fetch(&n_dropped, dropped, __ATOMIC_RELAXED);
            return;
        }
    }

    /* One event is one line, whatever a peer's error message holds. */
    for (char *end = line; (end = strchr(end, '\n'));)
        *end = ' ';
    text_copy_safe(shown, sizeof(shown), line);
    put_event(level, shown);
}
