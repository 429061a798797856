/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Sessions without sockets, for the tests of the routers: what a router sends is written down as
 * the peer would read it.
 *
 *     Broker broker;
 *     fake_broker_init(&broker);
 *     Session *worker = fake_connect(&broker, 'w');
 *     queues_pull(broker.queues, worker, &(Message){.op = OP_PULL, .id = 1, …});
 *     const FakeSent *sent = fake_take(worker);       the next message, or NULL; lent until the
 *                                                     session takes the next one
 */

#include "broker/sessions/session.h"

typedef struct FakeSent {
    struct FakeSent *next;
    uint64_t number; /* counts over all sessions */
    Lane lane;
    Message message;   /* encoded and read again: it has the fields of its op */
    const void *block; /* the block that was given to session_send(), or NULL; not owned */
    char type[64];     /* of an ERROR: "ferry.Full" */
    char text[256];    /* of an ERROR or FAULT */
    uint8_t bytes[];
} FakeSent;

/* Sets limits (the documented defaults), timers and now_ms = 1000; nothing else. */
void fake_broker_init(Broker *broker);
/* Frees the remaining fake sessions and clients. The routers must be freed before. */
void fake_broker_deinit(Broker *broker);

/* A session of the client whose id is 16 times this byte; finds the client or makes it. */
Session *fake_connect(Broker *broker, uint8_t client);

/* Frees the session; its client stays, with session NULL. Tell the routers before. */
void fake_disconnect(Session *session);

/* Frees a client without a session. Tell the routers before. */
void fake_forget(Broker *broker, Client *client);

/* The next message sent to it, or NULL. Lent until the next call for this session. */
const FakeSent *fake_take(Session *session);
const FakeSent *fake_peek(const Session *session); /* the same, not taken */
size_t fake_n_sent(const Session *session);        /* not taken yet */
void fake_drop(Session *session);                  /* takes all */
bool fake_is_faulted(const Session *session);
bool fake_is_ended(const Session *session); /* by session_end() */

/* Pretends that this many bytes wait to be sent to it. */
void fake_set_waiting(Session *session, size_t bytes);

/* Moves the clock and runs timers, millisecond by millisecond. */
void fake_advance(Broker *broker, uint64_t ms);
