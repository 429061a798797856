/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Reports to the broker: `ferry caches` and the dashboard show the counters of a client's caches.
 * While counters change, a report leaves every two seconds; it is a oneway call of
 * ferry.Broker.report_caches, so nothing waits for it.
 */

#include "clients/c/core/core.h"

extern const Part cache_reports_part;

/* The client uses this cache, which must outlive the client. Without memory, or beyond the maximum
 * of caches, the cache is not reported. */
void cache_reports_add(Core *core, ferry_cache *cache);
