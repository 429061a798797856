/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The right that each kind of message needs. */

#include "broker/sessions/session.h"

typedef enum AccessKind {
    ACCESS_UNKNOWN,     /* the table has no row: the message is refused */
    ACCESS_CONTROL,     /* session control: needs no right */
    ACCESS_OWN,         /* concerns something that the session has: needs no right */
    ACCESS_RIGHT,       /* needs the action, on the message's name */
    ACCESS_FROM_BROKER, /* only the broker sends it */
} AccessKind;

typedef struct Access {
    AccessKind kind;
    Action action; /* for ACCESS_RIGHT */
} Access;

/* The row of the table for a kind of message. */
Access access_of(unsigned op);

/* False: the session's user has no right to send this message. The session has got an error. */
bool access_check(Session *session, const Message *message);
