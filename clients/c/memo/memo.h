/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Memoised methods: a call that finds its answer in the client's cache reaches no server, and a
 * call that finds it in the server's cache reaches no handler. Only the memo files know the cache;
 * a library built without one leaves them out.
 *
 * Only results and declared exceptions are stored. If the cache fails, the server is called, or the
 * handler runs, within the time of the call.
 */

#include "clients/c/core/core.h"

extern const Part memo_part;
