/* Credit and large bodies on their way in. See inbox.h. */

#include "rpc/link/inbox.h"

#include <stdlib.h>

#include "base/buffer.h"

struct InTransfer {
    InTransfer *next;
    uint64_t id;
    uint8_t *block; /* grows while parts arrive */
    size_t len, cap;
    bool refused; /* larger than allowed: the rest is thrown away */
};

int inbox_charge(Inbox *inbox, size_t len) {
    /* One batch beyond the grant is the rule of the wire: it was begun while credit was left. */
    if (inbox->granted <= 0)
        return -EPROTO;
    inbox->granted -= (int64_t)len;
    inbox->charged += len;
    return 0;
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

static void give_up(Inbox *inbox, InTransfer *transfer) {
    inbox->transfer_bytes -= transfer->len;
    ferry_free(transfer->block);
    transfer->block = NULL;
    transfer->len = transfer->cap = 0;
    transfer->refused = true;
}

static int grow(Inbox *inbox, InTransfer *transfer, size_t len) {
    size_t cap = transfer->cap ? transfer->cap * 2 : 4 * (size_t)WIRE_PART;
    uint8_t *block;

    cap = cap < len ? len : cap;
    cap = cap > inbox->max_body ? inbox->max_body : cap;
    block = ferry_alloc(cap);
    if (!block)
        return -ENOMEM;
    if (transfer->len > 0)
        memcpy(block, transfer->block, transfer->len);
    ferry_free(transfer->block);
    transfer->block = block;
    transfer->cap = cap;
    return 0;
}

int inbox_part(Inbox *inbox, const Message *part) {
    InTransfer **link = find(inbox, part->transfer), *transfer = *link;
    size_t len;

    if (!transfer) {
        /* Number 0 can be named by no message: it would stay for ever. */
        if (inbox->n_transfers == INBOX_TRANSFERS_MAX || part->transfer == 0)
            return -EPROTO;
        transfer = calloc(1, sizeof(*transfer));
        if (!transfer)
            return -ENOMEM;
        transfer->id = part->transfer;
        *link = transfer;
        inbox->n_transfers++;
    }
    if (transfer->refused)
        return 0;
    len = transfer->len + part->body.len;
    /* 64 transfers of max_body each would be 4 GiB that one peer can make us hold. */
    if (len > inbox->max_body ||
        inbox->transfer_bytes + part->body.len > INBOX_BODIES_MAX * inbox->max_body) {
        give_up(inbox, transfer);
        return -EMSGSIZE;
    }
    if (len > transfer->cap && grow(inbox, transfer, len) < 0) {
        give_up(inbox, transfer);
        return -ENOMEM;
    }
    if (part->body.len > 0)
        memcpy(transfer->block + transfer->len, part->body.data, part->body.len);
    transfer->len = len;
    inbox->transfer_bytes += part->body.len;
    return 0;
}

int inbox_body(Inbox *inbox, Message *message, const void **ret_block) {
    InTransfer **link, *transfer;
    bool refused;

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
    message->body = span_of(transfer->block, transfer->len);
    *ret_block = transfer->block;
    inbox->transfer_bytes -= transfer->len;
    inbox->n_transfers--;
    *link = transfer->next;
    free(transfer);
    return refused ? -EMSGSIZE : 0;
}

void inbox_clear(Inbox *inbox) {
    while (inbox->transfers) {
        InTransfer *next = inbox->transfers->next;

        ferry_free(inbox->transfers->block);
        free(inbox->transfers);
        inbox->transfers = next;
    }
    *inbox = (Inbox){.max_body = inbox->max_body};
}
