/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The client of one user of the broker, and all that is made with it. */

#include "clients/web/core/core.h"

/* Begins to connect, with these keys (NULL: those of the environment). 0, or an error of
 * ferry_open(). */
int account_open(const char *url, const char *key_file, const char *server_key, const char *name,
                 Web **ret, ferry_error *reterr);

/* To be called each second. */
void account_tick(Web *web, uint64_t now_ms);

/* The end of a client ends its calls, so that each suspended request gets its answer. The rest goes
 * after the HTTP server. */
void account_disconnect(Web *web);
Web *account_free(Web *web);
