/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Log lines about mistakes of peers: at most PEER_LOG_BURST at once, then one each
 * PEER_LOG_EACH_MS. A peer that sends junk must not fill a disk with log lines; lines that are left
 * out are counted. Each user has as many lines of its own: a flood of strangers, or of another
 * user, leaves out no line of the audit.
 */

#include "base/burst.h"
#include "base/log.h"
#include "base/timers.h"

typedef struct Broker Broker;

enum { PEER_LOG_BURST = 100, PEER_LOG_EACH_MS = 100, PEER_LOG_TELL_MS = 1000 };

typedef struct PeerLog {
    const char *user; /* NULL: of peers without one, and of mistakes that are no user's */
    Burst rate;
    uint64_t n_left_out;
    Timer tell; /* logs n_left_out */
} PeerLog;

/* The same among the lines of one user; log must exist as long as the broker's timers. */
void user_log(Broker *broker, PeerLog *log, LogLevel level, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

void peer_log(Broker *broker, LogLevel level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
