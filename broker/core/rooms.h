/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The rooms that take part in the broker's turns and listen to its sessions: deferred batches,
 * services, topics, queues, ferry.Broker. The loop and the sessions below them call every room
 * through this list, in the order in which the rooms were opened.
 */

#include <stddef.h>
#include <stdint.h>

#include "rpc/wire/message.h"

typedef struct Broker Broker;
typedef struct Client Client;
typedef struct Room Room;
typedef struct Session Session;

/* The functions of a room; NULL: the room has nothing to do there. */
typedef struct RoomOps {
    void (*run_timers)(Room *room);        /* handles a slice of the deadlines that have passed */
    void (*turn_end)(Room *room);          /* at the end of each turn */
    uint64_t (*next_ms)(const Room *room); /* when the room needs a turn; 0: at once; UINT64_MAX:
                                            * never */
    size_t (*n_unfinished)(const Room *room); /* number of calls, jobs and so on that the broker
                                               * finishes before it stops */

    /* The room writes to `held` the jobs that the client keeps, for WELCOME. */
    void (*session_begun)(Room *room, Session *session, const Message *hello, Buffer *held);
    void (*session_gone)(Room *room, Session *session);
    void (*client_gone)(Room *room, Client *client); /* the client will not come back */
} RoomOps;

/* Each room begins with this struct. */
struct Room {
    const RoomOps *ops;
    Room *prev, *next; /* in broker->rooms */
};

void room_open(Broker *broker, Room *room, const RoomOps *ops);
void room_close(Broker *broker, Room *room);

void rooms_run_timers(Broker *broker);
void rooms_turn_end(Broker *broker);
uint64_t rooms_next_ms(const Broker *broker);
size_t rooms_n_unfinished(const Broker *broker);
void rooms_session_begun(Broker *broker, Session *session, const Message *hello, Buffer *held);
void rooms_session_gone(Broker *broker, Session *session);
void rooms_client_gone(Broker *broker, Client *client);
