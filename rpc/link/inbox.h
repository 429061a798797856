/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What has come in on one connection: the credit that it used up, and large bodies that arrive in
 * PARTs. Pure: no socket, no clock.
 */

#include <ferry/base.h>

#include "rpc/wire/message.h"

typedef struct InTransfer InTransfer;

/* What all inboxes of a broker may hold together. */
typedef struct InboxTotal {
    uint64_t bytes, max;
} InboxTotal;

typedef struct Inbox {
    int64_t granted; /* bytes that the peer may still send */
    size_t charged;  /* bytes of the batch that is being handled */
    size_t handled;  /* bytes handled since the last CREDIT */
    InTransfer *transfers;
    size_t transfer_bytes; /* that have come in for them */
    size_t n_transfers;
    size_t max_body;   /* bytes of one body: set before use */
    InboxTotal *total; /* likewise; NULL: no bound */
} Inbox;

enum {
    INBOX_TRANSFERS_MAX = 64,
    INBOX_BODIES_MAX = 4, /* times max_body: bytes held for all unfinished transfers together */
};

/* Charges a batch of len bytes; batches of session control are free. -EPROTO: the peer has
 * overdrawn its credit by more than one batch. */
int inbox_charge(Inbox *inbox, size_t len);

/* The batch that was charged is handled. Returns how many bytes to grant by CREDIT now, or 0: not
 * yet. */
uint64_t inbox_handled(Inbox *inbox);

/* Takes a PART in. -EPROTO: too many transfers at once, or number 0. -EMSGSIZE: larger than
 * max_body, or too much together with the other transfers; -ENOBUFS: too much together with those
 * of all others; -ENOMEM: after these the transfer is remembered as refused. */
int inbox_part(Inbox *inbox, const Message *part);

/* If the message's body went ahead in PARTs: puts it together as a block, which is the caller's, in
 * *ret_block, and lets message->body point to it (body_transfer becomes 0, passed empty). Else
 * *ret_block is NULL. -ENOENT: no such transfer; -EMSGSIZE, -ENOBUFS, -ENOMEM: it was refused. */
int inbox_body(Inbox *inbox, Message *message, const void **ret_block);

void inbox_clear(Inbox *inbox);
