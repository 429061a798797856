/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The descriptions of services, remembered for a while: without them each call would cost a second
 * round trip. A description older than a moment is used once more while a new one is fetched; what
 * it refuses is checked again by a fresh one.
 */

#include "clients/web/core/core.h"

enum {
    DESCRIPTIONS_MAX = 256, /* remembered; the oldest one goes */
    DESCRIPTION_FRESH_MS = 2000,
    DESCRIPTION_OLD_MS = 60000, /* beyond it a call waits for a new one */
};

typedef struct Descriptions Descriptions;

/* As ferry_describe_fn: exactly one of description and error is NULL, both are lent. */
typedef void (*DescriptionFn)(const ferry_description *description, const ferry_error *error,
                              void *ctx);

Descriptions *descriptions_new(Web *web);
/* The client must be closed: nobody waits any more. */
Descriptions *descriptions_free(Descriptions *descriptions);

/* Calls fn once, at once or in a later turn. fresh: with a description that was asked for after
 * this call. */
void descriptions_get(Descriptions *descriptions, const char *service, bool fresh, DescriptionFn fn,
                      void *ctx);
