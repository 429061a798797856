/* SPDX-License-Identifier: Apache-2.0 */
/* Log lines about peers, at a bounded rate. See peer-log.h. */

#include "broker/core/peer-log.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/container.h"
#include "broker/core/broker.h"

static void on_tell(Timer *timer, void *ctx) {
    PeerLog *log = container_of(timer, PeerLog, tell);

    (void)ctx;
    log_warning("too many log lines about %s%s%s, leaving some out: lines=%llu",
                log->user ? "the user '" : "peers", log->user ? log->user : "",
                log->user ? "'" : "", (unsigned long long)log->n_left_out);
    log->n_left_out = 0;
}

static void write_line(Broker *broker, PeerLog *log, LogLevel level, const char *format,
                       va_list args) {
    char text[1024];

    if (log_level < level)
        return;
    if (!burst_take(&log->rate, broker->now_ms, PEER_LOG_BURST, PEER_LOG_EACH_MS)) {
        log->n_left_out++;
        if (!timer_armed(&log->tell))
            timer_arm(&broker->timers, &log->tell, broker->now_ms + PEER_LOG_TELL_MS, on_tell);
        return;
    }
    vsnprintf(text, sizeof(text), format, args);
    log_write(level, "%s", text);
}

void user_log(Broker *broker, PeerLog *log, LogLevel level, const char *format, ...) {
    va_list args;

    va_start(args, format);
    write_line(broker, log, level, format, args);
    va_end(args);
}

void peer_log(Broker *broker, LogLevel level, const char *format, ...) {
    va_list args;

    va_start(args, format);
    write_line(broker, &broker->peer_log, level, format, args);
    va_end(args);
}
