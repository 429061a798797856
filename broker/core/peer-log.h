/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Log lines about mistakes of peers: at most PEER_LOG_BURST lines at once, then one line each
 * PEER_LOG_EACH_MS. Lines beyond that are left out and counted, so that a peer that sends junk
 * cannot fill a disk with log lines. Each user has a rate of its own: a flood of lines about one
 * user, or about peers without a user, suppresses no line about another user.
 */

#include "base/burst.h"
#include "base/log.h"
#include "base/timers.h"

typedef struct Broker Broker;

enum { PEER_LOG_BURST = 100, PEER_LOG_EACH_MS = 100, PEER_LOG_TELL_MS = 1000 };

typedef struct PeerLog {
    const char *user; /* NULL: lines about peers without a user, and about mistakes that belong to
                       * no user */
    Burst rate;
    uint64_t n_left_out;
    Timer tell; /* logs the number n_left_out */
} PeerLog;

/* Like peer_log(), with the rate of one user; log must exist as long as the broker's timers. */
void user_log(Broker *broker, PeerLog *log, LogLevel level, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

void peer_log(Broker *broker, LogLevel level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
