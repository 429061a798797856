/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The client of one user of the broker, with the state that depends on it. */

#include "clients/web/core/core.h"

/* Begins to connect, with these keys (NULL: the keys of the environment). 0, or an error of
 * ferry_open(). */
int account_open(const char *url, const char *key_file, const char *server_key, const char *name,
                 Web **ret, ferry_error *reterr);

/* Call this each second. */
void account_tick(Web *web, uint64_t now_ms);

/* Closes the client, which ends its calls, so that each suspended request gets its answer. The rest
 * of the account is freed after the HTTP server. */
void account_disconnect(Web *web);
Web *account_free(Web *web);
