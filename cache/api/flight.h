/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Single flight: if several threads of this process need the same key, one thread computes the
 * value and the others get its result.
 */

#include <pthread.h>
#include <stdbool.h>

#include <ferry/base.h>

#include "rpc/wire/reader.h"

typedef struct Flight Flight;

enum { FLIGHT_SHARDS = 16 };

typedef struct FlightShard {
    _Alignas(64) pthread_mutex_t lock;
    Flight *first;
} FlightShard;

typedef struct Flights {
    FlightShard shards[FLIGHT_SHARDS];
} Flights;

void flights_init(Flights *flights);
void flights_deinit(Flights *flights);

enum { FLIGHT_OURS, FLIGHT_THEIRS };

/* FLIGHT_OURS: the caller computes, then calls flight_land(). FLIGHT_THEIRS: another thread
 * computes: call flight_wait(), then flight_leave(). -EDEADLK: this same thread is already
 * computing the key. -ENOMEM. With may_wait false, FLIGHT_THEIRS returns no flight. */
int flight_join(Flights *flights, Span key, uint64_t hash, bool may_wait, Flight **ret);

/* Ends the caller's flight. All waiting threads share the value, one block; the caller keeps its
 * own reference. value NULL: the waiting threads get this status. */
void flight_land(Flights *flights, Flight *flight, const ferry_bytes *value, int status);

/* True if the key was deleted after its computation began. */
bool flight_is_void(Flight *flight);

/* True: the flight has landed; *ret is a block that the caller owns, or NULL, and then *ret_status
 * has the reason. False: the deadline came first. */
bool flight_wait(Flight *flight, uint64_t deadline_ns, ferry_bytes **ret, int *ret_status);
void flight_leave(Flight *flight);

/* The key was deleted: the value under computation must not be stored. */
void flights_void(Flights *flights, Span key, uint64_t hash);
