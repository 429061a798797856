/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The server's end of memoised methods. */

#include "clients/c/memo/cache.h"

extern const ServeMemo memo_services;

/* In a turn: continues the requests for which the cache has answered. True: there were some. */
bool memo_servings_run(Memo *memo);

/* The link has ended: drops the requests that wait for the cache. */
void memo_serve_shut(Core *core);
