/* SPDX-License-Identifier: Apache-2.0 */
/* Credit of received data, and large bodies that arrive in parts. See inbox.h. */

#include "rpc/link/inbox.h"

#include <stdlib.h>

#include "base/block.h"

enum { ANNOUNCED_SHARE = 64 };

struct InTransfer {
    InTransfer *next;
    uint64_t id;
    uint64_t size;  /* size of the whole body, as the sender announced it; 0: unknown */
    uint8_t *block; /* the block grows while parts arrive */
    size_t len, cap;
    int refused; /* 0, or a negative errno: the rest of the body is dropped */
};

static void count(Inbox *inbox, size_t len) {
    inbox->transfer_bytes += len;
    if (inbox->account)
        account_charge(inbox->account, BUDGET_TRANSFERS, len);
}

static void discount(Inbox *inbox, size_t len) {
    inbox->transfer_bytes -= len;
    if (inbox->account)
        account_refund(inbox->account, BUDGET_TRANSFERS, len);
}

static bool has_room(const Inbox *inbox, size_t len) {
    const Budget *budget = inbox->account ? inbox->account->budget : NULL;

    return !budget || (budget_allows_transfer(budget, inbox->transfer_bytes, len) &&
                       account_allows(inbox->account, len));
}

int inbox_charge(Inbox *inbox, size_t len) {
    /* The protocol allows one batch beyond the grant, because the peer sends a batch while any
     * credit is left. */
    bool is_covered = inbox->granted > 0;

    len += inbox->landed;
    inbox->landed = 0;
    inbox->granted -= (int64_t)len;
    inbox->charged += len;
    return is_covered ? 0 : -EPROTO;
}

uint64_t inbox_handled(Inbox *inbox) {
    size_t grant;

    inbox->handled += inbox->charged;
    inbox->charged = 0;
    if (inbox->handled < WIRE_CREDIT / 4)
        return 0;
    grant = inbox->handled;
    inbox->handled = 0;
    inbox->granted += (int64_t)grant;
    return grant;
}

static InTransfer **find(Inbox *inbox, uint64_t id) {
    InTransfer **link = &inbox->transfers;

    while (*link && (*link)->id != id)
        link = &(*link)->next;
    return link;
}

static int give_up(Inbox *inbox, InTransfer *transfer, int why) {
    discount(inbox, transfer->cap);
    ferry_free(transfer->block);
    transfer->block = NULL;
    transfer->len = transfer->cap = 0;
    transfer->refused = why;
    return why;
}

/* The memory of a transfer starts with the size of the first part and doubles, up to max_body. If
 * the sender has announced the size, the memory grows to that size at once, but at most to
 * ANNOUNCED_SHARE times the bytes that have arrived, so that the announcement alone takes little
 * memory.
 *  */
static int grow(Inbox *inbox, InTransfer *transfer, size_t len) {
    size_t cap = transfer->cap * 2;
    uint8_t *block;

    if (transfer->size >= len)
        cap = transfer->size < ANNOUNCED_SHARE * len ? transfer->size : ANNOUNCED_SHARE * len;
    cap = cap < len ? len : cap;
    cap = cap > inbox->max_body ? inbox->max_body : cap;
    if (!has_room(inbox, cap - transfer->cap))
        cap = len;
    /* Without this limit, one peer could make the process hold 4 GiB: 64 transfers of max_body
     * each. */
    if (inbox->transfer_bytes + cap - transfer->cap > INBOX_BODIES_MAX * inbox->max_body)
        return -EMSGSIZE;
    if (!has_room(inbox, cap - transfer->cap))
        return -ENOBUFS;
    block = block_resize(transfer->block, cap);
    if (!block)
        return -ENOMEM;
    count(inbox, cap - transfer->cap);
    transfer->block = block;
    transfer->cap = cap;
    return 0;
}

int inbox_part(Inbox *inbox, const Message *part) {
    InTransfer **link = find(inbox, part->part.transfer), *transfer = *link;
    size_t len;
    int r;

    if (part->body.len > WIRE_PART)
        return -EPROTO;
    if (!transfer) {
        /* No message can name transfer 0, so it would never be freed. */
        if (inbox->n_transfers == INBOX_TRANSFERS_MAX || part->part.transfer == 0)
            return -EPROTO;
        transfer = calloc(1, sizeof(*transfer));
        /* Without a record, the next PART would start the transfer again, without these bytes. */
        if (!transfer)
            return -EPROTO;
        transfer->id = part->part.transfer;
        transfer->size = part->part.size;
        *link = transfer;
        inbox->n_transfers++;
    }
    if (transfer->refused)
        return 0;
    len = transfer->len + part->body.len;
    if (len > inbox->max_body)
        return give_up(inbox, transfer, -EMSGSIZE);
    r = len > transfer->cap ? grow(inbox, transfer, len) : 0;
    if (r < 0)
        return give_up(inbox, transfer, r);
    if (part->body.len > 0)
        memcpy(transfer->block + transfer->len, part->body.data, part->body.len);
    transfer->len = len;
    return 0;
}

uint8_t *inbox_land(Inbox *inbox, uint64_t id, size_t len) {
    InTransfer *transfer = *find(inbox, id);

    if (!transfer || transfer->refused || len > transfer->cap - transfer->len)
        return NULL;
    transfer->len += len;
    inbox->landed += len;
    return transfer->block + transfer->len - len;
}

/* The body may be stored for a long time, so free the memory that it does not fill. */
static const void *trimmed(const InTransfer *transfer) {
    void *smaller = NULL;

    if (transfer->block && transfer->len < transfer->cap)
        smaller = block_resize(transfer->block, transfer->len);
    return smaller ? smaller : transfer->block;
}

int inbox_body(Inbox *inbox, Message *message, const void **ret_block) {
    InTransfer **link, *transfer;
    int refused;

    *ret_block = NULL;
    if (!message->body_transfer)
        return 0;
    link = find(inbox, message->body_transfer);
    transfer = *link;
    if (!transfer)
        return -ENOENT;
    refused = transfer->refused;
    message->body_transfer = 0;
    message->passed = (Span){NULL, 0};
    discount(inbox, transfer->cap);
    *ret_block = trimmed(transfer);
    message->body = span_of(*ret_block, transfer->len);
    inbox->n_transfers--;
    *link = transfer->next;
    free(transfer);
    return refused;
}

void inbox_clear(Inbox *inbox) {
    discount(inbox, inbox->transfer_bytes);
    while (inbox->transfers) {
        InTransfer *next = inbox->transfers->next;

        ferry_free(inbox->transfers->block);
        free(inbox->transfers);
        inbox->transfers = next;
    }
    *inbox = (Inbox){.max_body = inbox->max_body, .account = inbox->account};
}
