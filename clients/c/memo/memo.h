/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Memoised methods: if the client's cache has the answer to a call, the call is not sent; if the
 * server's cache has it, the handler does not run. Only the files of memo/ use the cache; a library
 * that is built without the cache does not contain them.
 *
 * Only results and declared exceptions are stored. If the cache fails, the client calls the server,
 * or the server runs the handler, within the timeout of the call.
 */

#include "clients/c/core/core.h"

extern const Part memo_part;
