/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Sessions without sockets, for the tests of the routers. A message that a router sends is recorded
 * in the form in which the peer would read it.
 *
 *     Broker broker;
 * >
 *     fake_broker_init(&broker);
 *     Session *worker = fake_connect(&broker, 'w');
 *     queues_pull(broker.queues, worker, &(Message){.op = OP_PULL, .id = 1, …});
 *     const FakeSent *sent = fake_take(worker);
 *
 * fake_take() returns the next message, or NULL. It is valid until the session takes the next one.
 */

#include "broker/sessions/session.h"

typedef struct FakeSent {
    struct FakeSent *next;
    uint64_t number; /* counts over all sessions */
    Lane lane;
    Message message;           /* encoded and read again, so it has the fields of its op */
    const void *block;         /* the block that was given to session_send(), or NULL; not owned */
    char type[64];             /* of an ERROR: "ferry.Full" */
    char text[256];            /* of an ERROR or FAULT */
    char url[64];              /* of an ERROR ferry.Moved: the owner's; empty: it has no url */
    uint64_t moved;            /* the same: its number in the session; 0: it has no number */
    uint8_t owner[WIRE_TOKEN]; /* the same: the owner's id; zero: it has no id */
    bool is_kept, is_unknown;  /* it has the key `kept`, or `unknown` */
    uint8_t bytes[];
} FakeSent;

/* Sets limits (the documented defaults), timers and now_ms = 1000, and no other fields. */
void fake_broker_init(Broker *broker);
/* Frees the remaining fake sessions and clients. Free the routers before. */
void fake_broker_deinit(Broker *broker);

/* A session of the client whose id is 16 times this byte. Finds the client, or makes it. */
Session *fake_connect(Broker *broker, uint8_t client);

/* Frees the session. Its client stays, with session NULL. Call the routers before. */
void fake_disconnect(Session *session);

/* Frees a client without a session. Call the routers before. */
void fake_forget(Broker *broker, Client *client);

/* The next message that was sent to the session, or NULL. Valid until the next call for this
 * session. */
const FakeSent *fake_take(Session *session);
const FakeSent *fake_peek(const Session *session); /* like fake_take(); the message is not taken */
size_t fake_n_sent(const Session *session);        /* number of messages that are not taken yet */
void fake_drop(Session *session);                  /* takes all messages */
bool fake_is_faulted(const Session *session);
bool fake_is_ended(const Session *session); /* true: session_end() was called */

/* Pretends that this many bytes wait to be sent to the session. */
void fake_set_waiting(Session *session, size_t bytes);

/* Moves the clock and runs timers, one millisecond after the other. */
void fake_advance(Broker *broker, uint64_t ms);
