/* SPDX-License-Identifier: Apache-2.0 */
/* Single flight. See flight.h. */

#include "cache/api/flight.h"

#include <errno.h>
#include <stdlib.h>

#include "base/block.h"
#include "base/cond.h"

struct Flight {
    Flight *next;
    FlightShard *shard;
    pthread_t owner;
    pthread_cond_t landed_now;
    unsigned refs; /* the computing thread and all waiting threads */
    bool landed;
    bool is_void;
    int status;
    ferry_bytes value; /* block NULL: no value */
    uint64_t hash;
    size_t key_len;
    uint8_t key[];
};

void flights_init(Flights *flights) {
    for (size_t i = 0; i < FLIGHT_SHARDS; i++) {
        flights->shards[i].first = NULL;
        pthread_mutex_init(&flights->shards[i].lock, NULL);
    }
}

void flights_deinit(Flights *flights) {
    for (size_t i = 0; i < FLIGHT_SHARDS; i++)
        pthread_mutex_destroy(&flights->shards[i].lock);
}

static FlightShard *shard_of(Flights *flights, uint64_t hash) {
    return &flights->shards[(hash >> 32) % FLIGHT_SHARDS];
}

static Flight *find(FlightShard *shard, Span key, uint64_t hash) {
    Flight *flight = shard->first;

    while (flight && (flight->hash != hash || flight->key_len != key.len ||
                      memcmp(flight->key, key.data, key.len) != 0))
        flight = flight->next;
    return flight;
}

static Flight *flight_new(FlightShard *shard, Span key, uint64_t hash) {
    Flight *flight = calloc(1, sizeof(*flight) + key.len);

    if (!flight)
        return NULL;
    flight->shard = shard;
    flight->owner = pthread_self();
    flight->refs = 1;
    flight->hash = hash;
    flight->key_len = key.len;
    memcpy(flight->key, key.data, key.len);
    cond_init(&flight->landed_now);
    flight->next = shard->first;
    shard->first = flight;
    return flight;
}

int flight_join(Flights *flights, Span key, uint64_t hash, bool may_wait, Flight **ret) {
    FlightShard *shard = shard_of(flights, hash);
    Flight *flight;
    int r = FLIGHT_THEIRS;

    *ret = NULL;
    pthread_mutex_lock(&shard->lock);
    flight = find(shard, key, hash);
    if (!flight) {
        *ret = flight_new(shard, key, hash);
        r = *ret ? FLIGHT_OURS : -ENOMEM;
    } else if (pthread_equal(flight->owner, pthread_self())) {
        r = -EDEADLK;
    } else if (may_wait) {
        flight->refs++;
        *ret = flight;
    }
    pthread_mutex_unlock(&shard->lock);
    return r;
}

/* Called with the lock held; releases it. */
static void unref(Flight *flight) {
    FlightShard *shard = flight->shard;
    bool last = --flight->refs == 0;

    pthread_mutex_unlock(&shard->lock);
    if (!last)
        return;
    ferry_free(flight->value.block);
    pthread_cond_destroy(&flight->landed_now);
    free(flight);
}

void flight_land(Flights *flights, Flight *flight, const ferry_bytes *value, int status) {
    FlightShard *shard = flight->shard;
    Flight **at = &shard->first;

    (void)flights;
    pthread_mutex_lock(&shard->lock);
    while (*at != flight)
        at = &(*at)->next;
    *at = flight->next;
    flight->landed = true;
    flight->status = status;
    /* The flight is no longer in the list, so only threads that wait already will read the value.
     */
    if (value && flight->refs > 1)
        flight->value = (ferry_bytes){value->data, value->len, ferry_keep(value)};
    pthread_cond_broadcast(&flight->landed_now);
    unref(flight);
}

bool flight_is_void(Flight *flight) {
    bool is_void;

    pthread_mutex_lock(&flight->shard->lock);
    is_void = flight->is_void;
    pthread_mutex_unlock(&flight->shard->lock);
    return is_void;
}

/* Shares the value, but copies its ferry_bytes, which the user may change. */
static int share(const ferry_bytes *value, ferry_bytes **ret) {
    ferry_bytes *copy = block_new_around(sizeof(*copy), value->block);

    if (!copy)
        return -ENOMEM;
    ferry_keep(value->block);
    *copy = (ferry_bytes){value->data, value->len, copy};
    *ret = copy;
    return 0;
}

bool flight_wait(Flight *flight, uint64_t deadline_ns, ferry_bytes **ret, int *ret_status) {
    struct timespec deadline = {.tv_sec = (time_t)(deadline_ns / 1000000000),
                                .tv_nsec = (long)(deadline_ns % 1000000000)};
    bool landed;

    *ret = NULL;
    pthread_mutex_lock(&flight->shard->lock);
    while (!flight->landed)
        if (pthread_cond_timedwait(&flight->landed_now, &flight->shard->lock, &deadline) != 0)
            break;
    landed = flight->landed;
    if (landed) {
        *ret_status = flight->status;
        if (flight->value.block)
            *ret_status = share(&flight->value, ret);
    }
    pthread_mutex_unlock(&flight->shard->lock);
    return landed;
}

void flight_leave(Flight *flight) {
    pthread_mutex_lock(&flight->shard->lock);
    unref(flight);
}

void flights_void(Flights *flights, Span key, uint64_t hash) {
    FlightShard *shard = shard_of(flights, hash);
    Flight *flight;

    pthread_mutex_lock(&shard->lock);
    flight = find(shard, key, hash);
    if (flight)
        flight->is_void = true;
    pthread_mutex_unlock(&shard->lock);
}
