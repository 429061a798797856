/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The brokers that a URL lists: "tcp://a:5877,tcp://b:5877?prefer=local". A comma separates two
 * brokers only if a URL follows it, because the path of an ipc:// URL may have commas. A URL that
 * begins with tcp+dns:// or tcp+srv:// has the name of a list, which is empty until it is looked up
 * (lookup.h).
 */

#include <stdbool.h>
#include <stdint.h>

#include <ferry/base.h>

#include "base/cleanup.h"
#include "rpc/address/lookup.h"

enum { BROKERS_MAX = 16 }; /* brokers in one URL */

typedef enum EndpointPrefer {
    PREFER_ANY,   /* a random broker */
    PREFER_LOCAL, /* brokers of this machine first */
    PREFER_ORDER, /* the order of the URL */
} EndpointPrefer;

typedef struct EndpointList {
    unsigned n;
    EndpointPrefer prefer;
    bool has_prefer;  /* the URL ends in ?prefer= */
    const char *name; /* the URL, if brokers are looked up by its name; NULL: it lists them */
    unsigned number;  /* how many lists of this name were found, this one included */
    const char *urls[BROKERS_MAX];
    char text[]; /* holds the URLs */
} EndpointList;

/* Reads the URL of a client. The URLs are in the order of the text. -EINVAL, -ENOMEM. */
int endpoint_list_new(EndpointList **ret, const char *url, ferry_error *reterr);
EndpointList *endpoint_list_free(EndpointList *list);

/* Makes a list of the brokers that were found by the name of another list, at most BROKERS_MAX.
 * -ENOMEM. */
int endpoint_list_found(EndpointList **ret, const EndpointList *named, const Lookup *lookup);

/* Looks the name up and waits for the result, at most timeout_ms. -ENOTCONN: no broker was found
 * in this time. -ENOMEM. */
int endpoint_list_find(EndpointList **ret, const EndpointList *named, uint64_t timeout_ms,
                       ferry_error *reterr);

/* True: the URL lists its brokers, and all of them are at ipc://. */
bool endpoint_list_is_local(const EndpointList *list);

/* The index of a URL in the list; list->n: it is not there. */
unsigned endpoint_list_index(const EndpointList *list, const char *url);

/* Puts the brokers into the order in which one client tries them. random: any numbers, n of
 * them. */
void endpoint_list_arrange(EndpointList *list, const uint64_t *random);

DEFINE_CLEANUP(EndpointList *, endpoint_list_free);
