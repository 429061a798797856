/* SPDX-License-Identifier: Apache-2.0 */
/* The list of rooms. See rooms.h. */

#include "broker/core/rooms.h"

#include <utlist.h>

#include "broker/core/broker.h"

void room_open(Broker *broker, Room *room, const RoomOps *ops) {
    room->ops = ops;
    DL_APPEND(broker->rooms, room);
}

void room_close(Broker *broker, Room *room) {
    DL_DELETE(broker->rooms, room);
}

void rooms_run_timers(Broker *broker) {
    Room *room;

    DL_FOREACH(broker->rooms, room) {
        if (room->ops->run_timers)
            room->ops->run_timers(room);
    }
}

void rooms_turn_end(Broker *broker) {
    Room *room;

    DL_FOREACH(broker->rooms, room) {
        if (room->ops->turn_end)
            room->ops->turn_end(room);
    }
}

uint64_t rooms_next_ms(const Broker *broker) {
    uint64_t next_ms = UINT64_MAX;
    const Room *room;

    DL_FOREACH(broker->rooms, room) {
        uint64_t at_ms = room->ops->next_ms ? room->ops->next_ms(room) : UINT64_MAX;

        next_ms = at_ms < next_ms ? at_ms : next_ms;
    }
    return next_ms;
}

size_t rooms_n_unfinished(const Broker *broker) {
    const Room *room;
    size_t n = 0;

    DL_FOREACH(broker->rooms, room) {
        n += room->ops->n_unfinished ? room->ops->n_unfinished(room) : 0;
    }
    return n;
}

void rooms_session_begun(Broker *broker, Session *session, const Message *hello, Buffer *held) {
    Room *room;

    DL_FOREACH(broker->rooms, room) {
        if (room->ops->session_begun)
            room->ops->session_begun(room, session, hello, held);
    }
}

void rooms_session_gone(Broker *broker, Session *session) {
    Room *room;

    DL_FOREACH(broker->rooms, room) {
        if (room->ops->session_gone)
            room->ops->session_gone(room, session);
    }
}

void rooms_client_gone(Broker *broker, Client *client) {
    Room *room;

    DL_FOREACH(broker->rooms, room) {
        if (room->ops->client_gone)
            room->ops->client_gone(room, client);
    }
}
