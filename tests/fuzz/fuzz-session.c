/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The whole broker without sockets: any bytes, as batches of four peers, connections that end, and
 * time that passes. The input is a list of steps: a byte (bits 0-1: the peer; bits 2-3: the kind of
 * step), two bytes of length n, and n bytes.
 *
 *   0  a batch; the head is added, and a HELLO before it if there is no session yet
 *   1  a batch, unchanged
 *   2  the connection ends
 *   3  n milliseconds pass, and the store finishes its changes; no bytes follow. With bit 4 set
 *      nothing of this happens, but a shard comes or leaves: bit 0 of n is the shard, and with bit
 *      1 it leaves in order
 *
 * Queues whose names begin with "shared." are in a store with two shards.
 */

#include <stdlib.h>

#include "base/log.h"
#include "broker/queues/queues-private.h"
#include "broker/queues/shards-private.h"
#include "support/fake-hub.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { N_PEERS = 4, N_SHARDS = 2, N_TICKETS = 256 };

typedef struct FuzzShard {
    Store store; /* first: a Store is a FuzzShard */
    uint64_t tickets[N_TICKETS];
    size_t n;
} FuzzShard;

static FuzzShard shards[N_SHARDS];

static Broker broker;
static Peer *connected[N_PEERS];

/* ---- a store with shards, which keeps nothing ---- */

static int begin(Store *store, uint64_t ticket) {
    FuzzShard *shard = (FuzzShard *)store;

    if (store->away || !ticket)
        abort();
    if (shard->n == N_TICKETS)
        return -ENOBUFS;
    shard->tickets[shard->n++] = ticket;
    return STORE_LATER;
}

static int append(Store *store, uint64_t ticket, StoredJob *job, const StoredPush *by) {
    (void)by;
    if (job->id % 64 != store->shard)
        abort();
    return begin(store, ticket);
}

static int settle(Store *store, uint64_t ticket, StoredJob *job) {
    (void)job;
    return begin(store, ticket);
}

static int forward(Store *store, uint64_t ticket, StoredJob *old, StoredJob *job,
                   const StoredPush *by) {
    (void)old, (void)job, (void)by;
    return begin(store, ticket);
}

static int keep(Store *store, uint64_t ticket, Span name, Span value) {
    (void)name, (void)value;
    return begin(store, ticket);
}

static const StoreOps ops = {
    .durability = "redis",
    .later = true,
    .append = append,
    .settle = settle,
    .forward = forward,
    .keep = keep,
};

static void add_shards(void) {
    const char *problem;

    for (unsigned k = 0; k < N_SHARDS; k++) {
        shards[k] = (FuzzShard){.store = {.ops = &ops, .shard = k + 1, .away = true}};
        if (queues_add_store(broker.queues, &shards[k].store) < 0)
            abort();
    }
    if (queues_configure(broker.queues, "shared.>", "durability", "redis", &problem) < 0)
        abort();
}

static void finish_changes(FuzzShard *shard) {
    for (size_t i = 0; i < shard->n; i++) /* the end of a change may begin another one */
        shard->store.done(shard->tickets[i], 0, shard->store.ctx);
    shard->n = 0;
}

/* The shard has one job when it comes. */
static void come(FuzzShard *shard) {
    StoredJob as = {.id = broker.queues->last_job / 64 * 64 + 64 + shard->store.shard}, *job;
    Message content = {.body = span_text("x")};
    char name[32];

    if (queues_adopt_begin(broker.queues, &shard->store) < 0)
        return;
    for (unsigned i = 0;; i++) {
        snprintf(name, sizeof(name), "shared.%u", i);
        if (shard_of(broker.queues, span_text(name)) == &shard->store)
            break;
    }
    if (queues_restore_job(broker.queues, &shard->store, span_text(name), &as, span_text("why"),
                           &content, &job) < 0)
        abort();
    queues_adopt_end(broker.queues, &shard->store);
}

static void move(FuzzShard *shard, bool in_order) {
    if (shard->store.away) {
        come(shard);
        return;
    }
    if (in_order && !queues_close_shard(broker.queues, &shard->store))
        return;
    queues_release_shard(broker.queues, &shard->store);
    finish_changes(shard); /* no session waits for them */
    if (shard->store.n_open > 0)
        abort();
}

/* ---- peers ---- */

/* The broker's output must be readable: fake_next() aborts if it is not. */
static void read_all(Peer *peer) {
    while (fake_next(peer))
        continue;
}

static void end(unsigned i) {
    if (!connected[i])
        return;
    read_all(connected[i]);
    fake_peer_gone(&broker, connected[i]);
    connected[i] = NULL;
}

static void batch(unsigned i, const uint8_t *data, size_t len, bool raw) {
    if (connected[i] && connected[i]->closing)
        end(i);
    if (!connected[i])
        connected[i] = fake_peer_new(&broker);
    if (raw) {
        fake_receive(&broker, connected[i], data, len);
    } else {
        uint8_t *whole = malloc(len + WIRE_HEAD);

        if (!whole)
            abort();
        if (!connected[i]->session)
            fake_hello(&broker, connected[i], (uint8_t)('a' + i));
        whole[0] = WIRE_MAGIC;
        whole[1] = WIRE_PROTOCOL;
        if (len > 0)
            memcpy(whole + WIRE_HEAD, data, len);
        fake_receive(&broker, connected[i], whole, len + WIRE_HEAD);
        free(whole);
    }
    for (unsigned k = 0; k < N_PEERS; k++)
        if (connected[k])
            read_all(connected[k]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const uint8_t *at = data, *stop = data + size;

    log_level = LOG_LEVEL_ERROR;
    fake_hub_init(&broker);
    /* Small, so that an input can reach it. */
    broker.limits.max_body = 1000;
    add_shards();
    while (stop - at >= 3) {
        unsigned step = at[0], i = step % N_PEERS, what = step / N_PEERS % 4;
        size_t len = (size_t)at[1] << 8 | at[2];

        at += 3;
        if (what == 3 && step & 16) {
            move(&shards[len % N_SHARDS], len & 2);
            continue;
        }
        if (what == 3) {
            for (unsigned k = 0; k < N_SHARDS; k++)
                finish_changes(&shards[k]);
            fake_wait(&broker, len);
            continue;
        }
        len = len > (size_t)(stop - at) ? (size_t)(stop - at) : len;
        if (what == 2)
            end(i);
        else
            batch(i, at, len, what == 1);
        at += what == 2 ? 0 : len;
    }
    for (unsigned i = 0; i < N_PEERS; i++)
        end(i);
    fake_hub_deinit(&broker);
    return 0;
}
