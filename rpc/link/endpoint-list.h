/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The brokers that a URL lists: "tcp://a:5877,tcp://b:5877?prefer=local". A comma separates two
 * brokers only if a URL follows it, because the path of an ipc:// URL may have commas.
 */

#include <stdbool.h>

#include <ferry/base.h>

#include "base/cleanup.h"

enum { BROKERS_MAX = 16 }; /* brokers in one URL */

typedef enum EndpointPrefer {
    PREFER_ANY,   /* a random broker */
    PREFER_LOCAL, /* brokers of this machine first */
    PREFER_ORDER, /* the order of the URL */
} EndpointPrefer;

typedef struct EndpointList {
    unsigned n;
    EndpointPrefer prefer;
    const char *urls[BROKERS_MAX];
    char text[]; /* holds the URLs */
} EndpointList;

/* Reads the URL of a client. The URLs are in the order of the text. -EINVAL, -ENOMEM. */
int endpoint_list_new(EndpointList **ret, const char *url, ferry_error *reterr);
EndpointList *endpoint_list_free(EndpointList *list);

/* Puts the brokers into the order in which one client tries them. random: any numbers, n of
 * them. */
void endpoint_list_arrange(EndpointList *list, const uint64_t *random);

DEFINE_CLEANUP(EndpointList *, endpoint_list_free);
