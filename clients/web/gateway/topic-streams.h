/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * GET /v1/subscribe/PATTERN: the messages of topics as events.
 *
 * A subscription keeps its last events, and lives on for a while without a reader: a browser that
 * comes back with Last-Event-ID gets the events in between. The same store serves a slow reader,
 * who learns how many events it has missed.
 */

#include "clients/web/core/core.h"

enum {
    KEPT_BYTES_MAX = 1024 * 1024, /* of the events that a subscription keeps */
    DETACHED_MAX = 64,            /* subscriptions without a reader; the oldest one ends */
    DETACHED_MS = 30000,          /* for so long a subscription waits for its reader */
    BODY_SHOWN = 64 * 1024,       /* bytes of a body in an event, unless max_body says otherwise */
    BODY_SHOWN_MAX = 512 * 1024,
};

typedef struct TopicStreams TopicStreams;

TopicStreams *topic_streams_new(Web *web);
/* Their readers are gone, and the client is closed. */
TopicStreams *topic_streams_free(TopicStreams *all);

/* To be called each second: ends those that waited too long. */
void topic_streams_tick(TopicStreams *all, uint64_t now_ms);
