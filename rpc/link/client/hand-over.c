/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A broker that drains hands its client over to another broker of the URL: the link connects there,
 * and keeps the session with the first broker until its calls are answered. This session becomes a
 * Link of its own, which makes no further attempt when it ends. See link-private.h.
 */

#include <limits.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/error.h"
#include "rpc/link/client/link-private.h"

static void on_message(const Message *message, const void *block, void *ctx) {
    Link *link = ctx;

    link->batch = ++link->n_batches;
    link->received_ms = link->leaving->received_ms;
    link->handlers.on_message(message, block, link->handlers.ctx);
}

static void on_down(bool was_up, const ferry_error *error, void *ctx) {
    Link *link = ctx;

    (void)was_up;
    link->handlers.on_left(error, link->handlers.ctx);
}

static const LinkHandlers handlers = {.on_message = on_message, .on_down = on_down};

/* The old session shares its other members with the link. */
void link_free_leaving(Link *link) {
    Link *old = link->leaving;

    link_disconnect(old, old->state == LINK_UP);
    outbox_clear(&old->out);
    inbox_clear(&old->in);
    ferry_error_clear(&old->problem);
    free(old);
    link->leaving = NULL;
}

void link_hand_over(Link *link) {
    Link *old = malloc(sizeof(*old));

    link->leaves = false;
    /* Without memory the session lasts until the broker ends it. */
    if (!old)
        return;
    /* Two brokers drain at once: the calls of the first one are given up. */
    if (link->leaving) {
        link_end(link->leaving, RETRY, "ferry.ConnectionLost", "the session with %s was ended",
                 link->leaving->url);
        link_free_leaving(link);
    }
    /* The last message of the old session, apart from messages of its calls. */
    outbox_put(&link->out, LANE_BULK, &(Message){.op = OP_LEAVE}, NULL);
    *old = *link;
    old->handlers = handlers;
    old->handlers.ctx = link;
    old->asking = old->found = old->listing = NULL;
    old->list_next_ms = UINT64_MAX;
    old->found_nothing = false;
    old->transport->inbox = &old->in;
    link->leaving = old;
    link->transport = NULL;
    link->out = (Outbox){0};
    link->in = (Inbox){.max_body = link->in.max_body};
    link->problem = (ferry_error)FERRY_ERROR_INIT;
    link->state = LINK_CONNECTING;
    link->session++;
    link->hello_sent = false;
    link->next_address = UINT_MAX;
    link->n_tried = 0;
    link->next_attempt_ms = clock_ms();
    link_choose_next(link, true);
    link_doubt_list(link, link->next_attempt_ms);
    link->handlers.on_leave(link->handlers.ctx);
}

bool link_is_for_leaving(const Link *link, const Message *message) {
    return message->id < link->leaving_below &&
           (message->op == OP_CANCEL || message->op == OP_MORE || message->op == OP_ITEM ||
            message->op == OP_END) &&
           link->leaving->state == LINK_UP;
}
