/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A server counts its direct calls. The broker does not see these calls, so it gets the
 * counts of each method in summaries, about one a second. See direct-private.h.
 */

#include <stdlib.h>

#include "base/container.h"
#include "clients/c/direct/direct-private.h"
#include "rpc/wire/latency.h"
#include "rpc/wire/name.h"

enum { TALLIES_MAX = 256, SEND_MS = 1000, ERROR_SIZE = 64 };

struct Tally {
    UT_hash_handle hh;
    Direct *from; /* the member whose broker gets the counts; NULL: it has closed */
    uint64_t calls, errors, total_us;
    uint32_t latencies[LATENCY_BUCKETS];
    char last_error[ERROR_SIZE];
    size_t service_len, method_len, key_len;
    char key[]; /* see key_of() */
};

enum { KEY_MAX = sizeof(Direct *) + 2 * NAME_MAX_LEN };

/* The name of the service follows the address of its Direct; the name of the method is last. Each
 * caller has one service, so no two methods have one key. */
static size_t key_of(const Direct *from, Span service, Span method, char key[KEY_MAX]) {
    memcpy(key, &from, sizeof(from));
    memcpy(key + sizeof(from), service.data, service.len);
    memcpy(key + sizeof(from) + service.len, method.data, method.len);
    return sizeof(from) + service.len + method.len;
}

static Span service_of(const Tally *tally) {
    return span_of(tally->key + sizeof(Direct *), tally->service_len);
}

static Span method_of(const Tally *tally) {
    return span_of(tally->key + sizeof(Direct *) + tally->service_len, tally->method_len);
}

/* ---- sending ---- */

static void write_latencies(const Tally *tally, Buffer *to) {
    uint32_t n = 0;

    for (unsigned i = 0; i < LATENCY_BUCKETS; i++)
        n += tally->latencies[i] > 0;
    write_array(to, 2 * n);
    for (unsigned i = 0; i < LATENCY_BUCKETS; i++)
        if (tally->latencies[i] > 0) {
            write_uint(to, i);
            write_uint(to, tally->latencies[i]);
        }
}

static bool is_empty(const Tally *tally) {
    return tally->calls == 0 && tally->errors == 0 && tally->total_us == 0;
}

static int send_one(const Tally *tally) {
    CLEANUP(buffer_deinit) Buffer latencies = {0};
    Message message = {.op = OP_TALLY,
                       .name = service_of(tally),
                       .tally.calls = tally->calls,
                       .tally.errors = tally->errors,
                       .tally.total_us = tally->total_us,
                       .tally.method = method_of(tally),
                       .tally.text = span_text(tally->last_error)};

    write_latencies(tally, &latencies);
    if (latencies.failed)
        return -ENOMEM;
    message.tally.latencies = span_of(latencies.data, latencies.len);
    return link_put(tally->from->core->link, LANE_BULK, &message, NULL);
}

void tallies_send(Endpoint *endpoint) {
    Tally *tally, *next;

    HASH_ITER(hh, endpoint->tallies, tally, next) {
        if (!tally->from || !tally->from->core->is_up || is_empty(tally) || send_one(tally) < 0)
            continue;
        tally->calls = tally->errors = tally->total_us = 0;
        memset(tally->latencies, 0, sizeof(tally->latencies));
        tally->last_error[0] = '\0';
        /* Another member of the client may have no turn soon. */
        if (tally->from->core != endpoint->core)
            link_flush(tally->from->core->link);
    }
}

static void on_timer(Timer *timer, void *ctx) {
    (void)ctx;
    tallies_send(container_of(timer, Endpoint, tally_timer));
}

static void plan(Endpoint *endpoint) {
    if (!timer_armed(&endpoint->tally_timer))
        timer_arm(&endpoint->core->timers, &endpoint->tally_timer, clock_about_ms() + SEND_MS,
                  on_timer);
}

/* ---- counting ---- */

static bool is_the(const Tally *tally, const Direct *from, Span service, Span method) {
    return tally && tally->from == from && tally->service_len == service.len &&
           tally->method_len == method.len &&
           memcmp(method_of(tally).data, method.data, method.len) == 0 &&
           memcmp(service_of(tally).data, service.data, service.len) == 0;
}

/* NULL: there are too many methods, or no memory. */
static Tally *tally_get(Endpoint *endpoint, Direct *from, Span service, Span method) {
    Tally *tally = endpoint->last_tally;
    char key[KEY_MAX];
    size_t len;

    if (is_the(tally, from, service, method))
        return tally;
    if (method.len > NAME_MAX_LEN)
        return NULL;
    len = key_of(from, service, method, key);
    HASH_FIND(hh, endpoint->tallies, key, len, tally);
    if (tally) /* a Direct that was closed may have had the same address */
        tally->from = from;
    if (!tally && HASH_COUNT(endpoint->tallies) < TALLIES_MAX &&
        (tally = calloc(1, sizeof(*tally) + len))) {
        tally->from = from;
        tally->service_len = service.len;
        tally->method_len = method.len;
        memcpy(tally->key, key, len);
        HASH_ADD_KEYPTR(hh, endpoint->tallies, tally->key, len, tally);
        if (!hash_added(tally)) {
            free(tally);
            return NULL;
        }
    }
    endpoint->last_tally = tally;
    return tally;
}

Tally *tally_begun(Endpoint *endpoint, const Ticket *ticket, Span method) {
    Span service = span_of(ticket->service, ticket->service_len);
    Tally *tally = ticket->from ? tally_get(endpoint, ticket->from, service, method) : NULL;

    if (!tally)
        return NULL;
    tally->calls++;
    plan(endpoint);
    return tally;
}

void tally_ended(Endpoint *endpoint, Tally *tally, uint64_t started_us, Span error) {
    uint64_t us;

    if (!tally)
        return;
    us = clock_us() - started_us;
    tally->latencies[latency_bucket(us)]++;
    tally->total_us += us + (us == 0);
    if (error.data) {
        tally->errors++;
        snprintf(tally->last_error, sizeof(tally->last_error), "%.*s", (int)error.len,
                 (const char *)error.data);
    }
    plan(endpoint);
}

/* ---- the end ---- */

void tallies_forget(Endpoint *endpoint, const Direct *from) {
    for (Tally *tally = endpoint->tallies; tally; tally = tally->hh.next)
        if (tally->from == from)
            tally->from = NULL;
}

void tallies_free(Endpoint *endpoint) {
    Tally *tally, *next;

    timer_disarm(&endpoint->core->timers, &endpoint->tally_timer);
    HASH_ITER(hh, endpoint->tallies, tally, next) {
        HASH_DEL(endpoint->tallies, tally);
        free(tally);
    }
    endpoint->last_tally = NULL;
}
