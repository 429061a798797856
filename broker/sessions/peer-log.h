#pragma once

/*
 * Lines about what peers did wrong: at most PEER_LOG_BURST at once and one each PEER_LOG_EACH_MS
 * after that. Whoever sends junk must not fill a disk with it; what was left out is counted.
 */

#include "base/log.h"
#include "broker/broker.h"

enum { PEER_LOG_BURST = 100, PEER_LOG_EACH_MS = 100, PEER_LOG_TELL_MS = 1000 };

void peer_log(Broker *broker, LogLevel level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
