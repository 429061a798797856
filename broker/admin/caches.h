/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Reports of clients about their caches: at most CACHES_MAX caches for each session, until the
 * session ends. */

#include "broker/sessions/session.h"

enum { CACHES_MAX = 8 };

typedef struct CacheReport CacheReport;

/* All reports; those of one session stand together. */
typedef struct Caches {
    CacheReport *reports; /* utlist */
    size_t n;
} Caches;

/* Drops the reports of a session. */
void caches_forget(Caches *caches, Session *session);
