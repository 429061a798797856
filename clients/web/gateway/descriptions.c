/* SPDX-License-Identifier: Apache-2.0 */
/* Remembered descriptions. See descriptions.h. */

#include "clients/web/gateway/descriptions.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/hash.h"

typedef struct DescriptionWait {
    struct DescriptionWait *next;
    DescriptionFn fn;
    void *ctx;
} DescriptionWait;

typedef struct KnownService {
    UT_hash_handle hh; /* in the order of arrival */
    Descriptions *all;
    const ferry_description *description; /* kept; NULL: not known yet */
    uint64_t fetched_ms;
    bool is_asking;
    DescriptionWait *waits;
    size_t name_len;
    char name[];
} KnownService;

struct Descriptions {
    Web *web;
    KnownService *table;
};

Descriptions *descriptions_new(Web *web) {
    Descriptions *all = calloc(1, sizeof(*all));

    if (all)
        all->web = web;
    return all;
}

static void forget(Descriptions *all, KnownService *known) {
    HASH_DEL(all->table, known);
    ferry_free(known->description);
    free(known);
}

Descriptions *descriptions_free(Descriptions *all) {
    KnownService *known, *next;

    if (!all)
        return NULL;
    HASH_ITER(hh, all->table, known, next) forget(all, known);
    free(all);
    return NULL;
}

/* The table's entry for a service; NULL: out of memory. */
static KnownService *entry_of(Descriptions *all, const char *name) {
    size_t len = strlen(name);
    KnownService *known, *next;

    HASH_FIND(hh, all->table, name, len, known);
    if (known)
        return known;
    if (HASH_COUNT(all->table) >= DESCRIPTIONS_MAX)
        HASH_ITER(hh, all->table, known, next) {
            if (known->is_asking)
                continue;
            forget(all, known);
            break;
        }
    known = calloc(1, sizeof(*known) + len + 1);
    if (!known)
        return NULL;
    known->all = all;
    known->name_len = len;
    memcpy(known->name, name, len);
    HASH_ADD_KEYPTR(hh, all->table, known->name, len, known);
    if (!hash_added(known)) {
        free(known);
        return NULL;
    }
    return known;
}

static void on_description(const ferry_description *description, const ferry_error *error,
                           void *ctx) {
    KnownService *known = ctx;
    DescriptionWait *waits = known->waits, *wait;
    const ferry_description *kept = ferry_keep(description);

    known->is_asking = false;
    known->waits = NULL;
    ferry_free(known->description);
    known->description = kept;
    known->fetched_ms = clock_ms();
    ferry_keep(kept); /* a callback may cause the entry to be removed */
    if (!kept)
        forget(known->all,
               known); /* without a description: the next call asks for the service again */
    while ((wait = waits)) {
        waits = wait->next;
        wait->fn(description, error, wait->ctx);
        free(wait);
    }
    ferry_free(kept);
}

/* Requests the description from the broker, unless a request is in flight. fn NULL: the description
 * is for later calls. */
static void ask_for_it(KnownService *known, DescriptionFn fn, void *ctx) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    DescriptionWait *wait = fn ? malloc(sizeof(*wait)) : NULL;
    int r = 0;

    if (fn && !wait) {
        error_set_code(&error, -ENOMEM, NULL);
        fn(NULL, &error, ctx);
        return;
    }
    if (wait) {
        *wait = (DescriptionWait){NULL, fn, ctx};
        LL_APPEND(known->waits, wait);
    }
    if (known->is_asking)
        return;
    known->is_asking = true;
    if (known->all->web->is_away)
        r = error_set(&error, "ferry.NotConnected", "%s", known->all->web->problem);
    if (r == 0)
        r = ferry_describe_async(known->all->web->client, known->name, on_description, known,
                                 &error);
    if (r < 0)
        on_description(NULL, &error, known);
}

void descriptions_get(Descriptions *all, const char *service, bool fresh, DescriptionFn fn,
                      void *ctx) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    KnownService *known = entry_of(all, service);
    uint64_t age_ms = known ? clock_about_ms() - known->fetched_ms : 0;

    if (!known) {
        error_set_code(&error, -ENOMEM, NULL);
        fn(NULL, &error, ctx);
    } else if (fresh || !known->description || age_ms > DESCRIPTION_OLD_MS) {
        ask_for_it(known, fn, ctx);
    } else {
        const ferry_description *kept = ferry_keep(known->description);

        if (age_ms > DESCRIPTION_FRESH_MS && !all->web->is_away)
            ask_for_it(known, NULL, NULL);
        fn(kept, NULL, ctx);
        ferry_free(kept);
    }
}
