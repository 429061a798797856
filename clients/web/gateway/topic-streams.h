/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * GET /v1/subscribe/PATTERN: the messages of topics as events.
 *
 * A subscription keeps its last events, and continues for a while without a reader: a browser that
 * reconnects with Last-Event-ID gets the events in between. The kept events also serve a slow
 * reader, which is told how many events it has missed.
 */

#include "clients/web/core/core.h"

enum {
    KEPT_BYTES_MAX = 1024 * 1024, /* of the events that a subscription keeps */
    DETACHED_MAX = 64,            /* subscriptions without a reader; the oldest one ends */
    DETACHED_MS = 30000,          /* a subscription waits this long for its reader */
    BODY_SHOWN = 64 * 1024,       /* bytes of a body in an event, unless max_body says otherwise */
    BODY_SHOWN_MAX = 512 * 1024,
};

typedef struct TopicStreams TopicStreams;

TopicStreams *topic_streams_new(Web *web);
/* Call this when the readers have disconnected and the client is closed. */
TopicStreams *topic_streams_free(TopicStreams *all);

/* Call this each second: ends subscriptions that have waited too long for a reader. */
void topic_streams_tick(TopicStreams *all, uint64_t now_ms);
