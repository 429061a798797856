/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The log of the broker and the command line, on standard error. The library never logs.
 *
 * One line is one event, with the subject first and values last. The caller quotes text from
 * outside with text_escape().
 */

#include <stdint.h>

typedef enum LogLevel {
    LOG_LEVEL_ERROR,
    LOG_LEVEL_WARNING,
    LOG_LEVEL_INFO,
    LOG_LEVEL_DEBUG
} LogLevel;

extern LogLevel log_level;

/* LOG_JSON: a line is an object of time, level, message and the line's values:
 * {"time":"2026-11-30T06:00:00.000Z","level":"info","message":"a connection was lost","session":7}
 */
typedef enum LogFormat { LOG_TEXT, LOG_JSON } LogFormat;

extern LogFormat log_format;

/* 0, or -EINVAL for a name other than error, warning, info, debug. */
int log_level_parse(const char *name, LogLevel *ret);

/* Never waits: when standard error is a pipe that nobody reads, lines are dropped and counted, and
 * the next line that can be written tells how many. */
void log_write(LogLevel level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Lines that were dropped since the last one that was written. */
uint64_t log_dropped(void);

#define log_at(level, ...) (log_level >= (level) ? log_write((level), __VA_ARGS__) : (void)0)
#define log_error(...)     log_at(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...)   log_at(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...)      log_at(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)     log_at(LOG_LEVEL_DEBUG, __VA_ARGS__)
