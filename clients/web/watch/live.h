/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Event streams of the broker's state, for pages that show it: GET /api/live?parts=overview,queues.
 */

#include "clients/web/core/core.h"

typedef struct LiveStates LiveStates;

LiveStates *live_new(Web *web);
LiveStates *live_free(LiveStates *live); /* its streams must have ended */

bool live_is_watched(const LiveStates *live);

/* Call this each second: asks the broker once for all parts that the streams show. */
void live_tick(LiveStates *live);

/* The handler of the route. */
void live_open(HttpRequest *request);
