/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The received data of one connection: the credit that it used, and large bodies that arrive in
 * PARTs. Pure: no socket, no clock.
 */

#include <ferry/base.h>

#include "rpc/link/budget.h"
#include "rpc/wire/message.h"

typedef struct InTransfer InTransfer;

typedef struct Inbox {
    int64_t granted; /* bytes that the peer may still send */
    size_t charged;  /* bytes of the batch that is being handled */
    size_t landed;   /* bytes of the next batch that have gone straight into a transfer */
    size_t handled;  /* bytes handled since the last CREDIT */
    InTransfer *transfers;
    size_t transfer_bytes; /* memory of unfinished transfers */
    size_t n_transfers;
    size_t max_body;  /* bytes of one body: set before use */
    Account *account; /* the transfers are charged to it: set before use; NULL: to no account */
} Inbox;

enum {
    INBOX_TRANSFERS_MAX = 64,
    INBOX_BODIES_MAX = 4, /* times max_body: the bytes of all unfinished transfers together */
};

/* Charges a batch of len bytes, and those of its bytes that have landed; batches of session control
 * are free. -EPROTO: the peer has exceeded its credit by more than one batch. */
int inbox_charge(Inbox *inbox, size_t len);

/* The charged batch is handled. Returns the bytes to grant by CREDIT now; 0: not yet. */
uint64_t inbox_handled(Inbox *inbox);

/* Accepts a PART. -EPROTO: too many transfers at once, number 0, or no memory to remember it: the
 * session must end. -EMSGSIZE: larger than max_body, or too large together with the peer's other
 * transfers; -ENOBUFS: too large together with what
 * other peers make this process hold; -ENOMEM. After the last
 * three errors the transfer is remembered as refused. */
int inbox_part(Inbox *inbox, const Message *part);

/* A place for the body of a PART that has begun to arrive, len bytes: the end of its transfer,
 * which has them from now on, so that the PART itself is handled with an empty body. NULL: the
 * transfer is not known, was refused, or has no memory for them yet. */
uint8_t *inbox_land(Inbox *inbox, uint64_t id, size_t len);

/* If the message's body arrived in PARTs before it: joins them to a block, which the caller owns,
 * in *ret_block, and makes message->body point to it (body_transfer becomes 0, passed empty). Else
 * *ret_block is NULL. -ENOENT: no transfer has this number; -EMSGSIZE, -ENOBUFS, -ENOMEM: the
 * transfer was refused. */
int inbox_body(Inbox *inbox, Message *message, const void **ret_block);

void inbox_clear(Inbox *inbox);
