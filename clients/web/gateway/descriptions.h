/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A cache of the descriptions of services: without it each call would cost a second round trip. A
 * description that is a little old is used once more while a new one is fetched. If it refuses a
 * call, the call is checked again with a fresh description.
 */

#include "clients/web/core/core.h"

enum {
    DESCRIPTIONS_MAX = 256, /* descriptions in the cache; beyond this, the oldest one is removed */
    DESCRIPTION_FRESH_MS = 2000,
    /* A call does not use an older description, but waits for a new one. */
    DESCRIPTION_OLD_MS = 60000,
};

typedef struct Descriptions Descriptions;

/* As ferry_describe_fn: exactly one of description and error is NULL, both are lent. */
typedef void (*DescriptionFn)(const ferry_description *description, const ferry_error *error,
                              void *ctx);

Descriptions *descriptions_new(Web *web);
/* Call this after the client was closed, so that no callback waits. */
Descriptions *descriptions_free(Descriptions *descriptions);

/* Calls fn once, at once or in a later turn. fresh: only with a description that is requested after
 * this call. */
void descriptions_get(Descriptions *descriptions, const char *service, bool fresh, DescriptionFn fn,
                      void *ctx);
