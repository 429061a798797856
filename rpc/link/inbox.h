/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The received data of one connection: the credit that it has used, and large bodies that arrive in
 * PARTs. Uses no socket and no clock.
 */

#include <ferry/base.h>

#include "rpc/link/budget.h"
#include "rpc/wire/message.h"

typedef struct InTransfer InTransfer;

typedef struct Inbox {
    int64_t granted; /* bytes that the peer may still send */
    size_t charged;  /* bytes of the batch that is being handled */
    size_t landed;   /* bytes of the next batch that were read straight into a transfer */
    size_t handled;  /* bytes handled since the last CREDIT */
    InTransfer *transfers;
    size_t transfer_bytes; /* memory of unfinished transfers */
    size_t n_transfers;
    size_t max_body;  /* most bytes of one body: set before use */
    Account *account; /* pays for the transfers: set before use; NULL: no account */
} Inbox;

enum {
    INBOX_TRANSFERS_MAX = 64,
    INBOX_BODIES_MAX = 4, /* limit of all unfinished transfers together, in units of max_body */
};

/* Charges a batch of len bytes, plus its bytes that have landed. Batches of session control are
 * free. -EPROTO: the peer has exceeded its credit by more than one batch. */
int inbox_charge(Inbox *inbox, size_t len);

/* Marks the charged batch as handled. Returns the bytes to grant by CREDIT now; 0: grant later. */
uint64_t inbox_handled(Inbox *inbox);

/* Accepts a PART. -EPROTO: too many transfers at once, transfer number 0, or no memory for a record
 * of the transfer; the session must end. -EMSGSIZE: the body is larger than max_body, or too large
 * together with the peer's other transfers. -ENOBUFS: too large together with the memory that other
 * peers make this process hold. -ENOMEM. After -EMSGSIZE, -ENOBUFS and -ENOMEM the transfer stays
 * recorded as refused. */
int inbox_part(Inbox *inbox, const Message *part);

/* Returns memory at the end of a transfer for a PART body of len bytes that has begun to arrive.
 * From now on these bytes belong to the transfer, and the PART itself is handled with an empty
 * body. NULL: the transfer is unknown, was refused, or has no memory for these bytes yet. */
uint8_t *inbox_land(Inbox *inbox, uint64_t id, size_t len);

/* If the body of the message arrived in PARTs: *ret_block receives a block with the whole body,
 * which the caller owns, message->body points to it, body_transfer becomes 0, and passed becomes
 * empty. Otherwise *ret_block is NULL. -ENOENT: no transfer has this number; -EMSGSIZE, -ENOBUFS,
 * -ENOMEM: the transfer was refused. */
int inbox_body(Inbox *inbox, Message *message, const void **ret_block);

void inbox_clear(Inbox *inbox);
