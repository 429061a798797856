#pragma once

/*
 * Single flight: of the threads of this process that want the same key computed, one does it and
 * the others get what came of it.
 */

#include <pthread.h>
#include <stdbool.h>

#include <ferry/ferry.h>

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

/* FLIGHT_OURS: compute, then flight_land(). FLIGHT_THEIRS: flight_wait(), then flight_leave(). Or
 * -EDEADLK: this very thread computes it; -ENOMEM. With may_wait false, FLIGHT_THEIRS gives no
 * flight. */
int flight_join(Flights *flights, Span key, uint64_t hash, bool may_wait, Flight **ret);

/* Ends our flight. The value, one block, is shared with all who wait; it stays the caller's too.
 * status: what they get when it is NULL. */
void flight_land(Flights *flights, Flight *flight, const ferry_bytes *value, int status);

/* Was the key deleted since we began to compute it? */
bool flight_is_void(Flight *flight);

/* True: landed; *ret is a block of the caller's own, or NULL and *ret_status says why. False: the
 * deadline came first. */
bool flight_wait(Flight *flight, uint64_t deadline_ns, ferry_bytes **ret, int *ret_status);
void flight_leave(Flight *flight);

/* The key was deleted: what is being computed is not to be stored. */
void flights_void(Flights *flights, Span key, uint64_t hash);
