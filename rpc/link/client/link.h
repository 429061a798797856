/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The client's end: one DEALER socket to a broker, made anew whenever it is lost (libzmq's own
 * reconnecting would lose messages between sessions, and mix them up). Speaks HELLO, PING, CREDIT,
 * PART by itself; hands everything else on.
 */

#include <ferry/base.h>

#include "rpc/link/inbox.h"
#include "rpc/link/outbox.h"

typedef struct Link Link;

typedef enum LinkState {
    LINK_CONNECTING, /* no WELCOME yet */
    LINK_UP,
    LINK_CLOSED, /* an end that another attempt would not change: FAULT, or too old a version */
} LinkState;

typedef struct LinkHandlers {
    /* A message for the layer above. The message and all in it are lent; block is the block around
     * its body, or NULL. */
    void (*on_message)(const Message *message, const void *block, void *ctx);
    /* A session has begun: say again what the broker must know (serve, subscribe, pull, push). */
    void (*on_up)(bool resumed, void *ctx);
    /* The session has ended, or an attempt to begin one failed. The link tries again by itself. */
    void (*on_down)(bool was_up, const ferry_error *error, void *ctx);
    /* Fills floor and held of a HELLO about to be written. held may point into buffer. */
    void (*on_hello)(Message *hello, Buffer *buffer, void *ctx);
    void *ctx;
} LinkHandlers;

/* Handlers may call everything but link_free(). A link_process() inside a handler goes on with the
 * batch that the handler was called for, then with what has arrived since: messages are handed on
 * in order, but the outer ones are not finished yet.
 *
 * Takes no time: connecting begins in the background. url: tcp://host:port, ipc://path; -EINVAL. */
int link_new(Link **ret, const char *url, const char *name, const LinkHandlers *handlers,
             ferry_error *reterr);
Link *link_free(Link *link); /* says BYE; waits at most 200 ms for what was flushed to leave */

LinkState link_state(const Link *link);
const uint8_t *link_client_id(const Link *link); /* WIRE_TOKEN bytes */
uint64_t link_max_body(const Link *link);        /* the broker's limit, once up */
const char *link_url(const Link *link);
const ferry_error *link_problem(const Link *link); /* why it is not up; NULL: nothing failed yet */

/* Puts a message into the outbox. Only while up: else -ENOTCONN. -EAGAIN: max_bytes wait already
 * (control and calls lanes are exempt up to twice that). */
int link_put(Link *link, Lane lane, const Message *message, const void *block);
size_t link_waiting(const Link *link); /* bytes in the outbox */

/* After an -EAGAIN: so much has left that it is worth while to put more. */
bool link_has_room(const Link *link);

/* While held, what is handled is not granted again to the broker: for a layer above that sets
 * messages aside and must not do so without bound. */
void link_hold_credit(Link *link, bool hold);

/* Sends what may be sent. Never waits. */
void link_flush(Link *link);

/* Handles what has arrived, up to about max_messages, and the link's own timers. Returns how many
 * messages it handed on. Sends nothing that the handlers put: link_flush() does. */
int link_process(Link *link, int max_messages, uint64_t now_ms);

/* The number of the batch whose message is being handed on; they count up as they arrive. */
uint64_t link_batch(const Link *link);

/* Inside on_message: a block that holds what was received, for a body that lies in it and is too
 * large to be copied gladly; the caller's: ferry_free(). NULL: copy it, the body is but a small
 * part of what would be held. */
const void *link_hold_body(Link *link, Span body);

/* More input waits: process again before sleeping. (ZMQ_FD is edge-triggered.) */
bool link_has_input(Link *link);

/* Sleeps until input or until_ms (UINT64_MAX: for ever), or fd (-1: none) is readable; looks for a
 * while first. */
void link_wait(Link *link, int fd, uint64_t until_ms);

/* When link_process() is due at the latest. */
uint64_t link_next_ms(const Link *link);

/* An epoll descriptor, for the link's life, that holds the ZeroMQ descriptor of the moment. The
 * layer above may add its own. */
int link_epoll_fd(const Link *link);
