/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The log of the broker and the command line, on standard error. The library never logs.
 *
 * One line is one event, with the subject first and the values last. The caller escapes text from
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

/* LOG_JSON: a line is an object with time, level, message and the values of the line:
 * {"time":"2026-11-30T06:00:00.000Z","level":"info","message":"a connection was
 * lost","session":7} */
typedef enum LogFormat { LOG_TEXT, LOG_JSON } LogFormat;

extern LogFormat log_format;

/* 0, or -EINVAL for a name other than error, warning, info, debug. */
int log_level_parse(const char *name, LogLevel *ret);

/* Writes a line without waiting. If standard error is a pipe that no process reads, lines are
 * dropped and counted, and the next line that can be written reports their number. */
void log_write(LogLevel level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The number of lines that were dropped since the last written line. */
uint64_t log_dropped(void);

#define log_at(level, ...) (log_level >= (level) ? log_write((level), __VA_ARGS__) : (void)0)
#define log_error(...)     log_at(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...)   log_at(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...)      log_at(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)     log_at(LOG_LEVEL_DEBUG, __VA_ARGS__)
