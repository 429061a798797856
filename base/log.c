/* SPDX-License-Identifier: Apache-2.0 */
/* Lines on standard error: time, level, event. Under systemd, its priority prefix instead. */

#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

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

void log_write(LogLevel level, const char *format, ...) {
    static const int priorities[] = {3, 4, 6, 7}; /* syslog(3) */
    char line[2048], shown[4096], when[32] = "";
    struct timespec now;
    struct tm parts;
    va_list args;

    va_start(args, format);
    vsnprintf(line, sizeof(line), format, args);
    va_end(args);

    /* One event is one line, whatever a peer's error message holds. */
    for (char *end = line; (end = strchr(end, '\n'));)
        *end = ' ';
    text_copy_safe(shown, sizeof(shown), line);
    if (getenv("JOURNAL_STREAM")) {
        fprintf(stderr, "<%d>%s\n", priorities[level], shown);
        return;
    }
    clock_gettime(CLOCK_REALTIME, &now);
    if (gmtime_r(&now.tv_sec, &parts))
        strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%S", &parts);
    fprintf(stderr, "%s.%03ldZ %-7s %s\n", when, now.tv_nsec / 1000000, names[level], shown);
}
