/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The client's end of a connection. The link keeps one connection to the broker and replaces it
 * when it is lost; the URL chooses the transport. The link handles HELLO, PING, CREDIT and PART
 * itself and passes all other messages on.
 */

#include <ferry/base.h>

#include "rpc/address/endpoint-list.h"
#include "rpc/keys/key.h"
#include "rpc/link/inbox.h"
#include "rpc/link/outbox.h"

typedef struct Link Link;

typedef enum LinkState {
    LINK_CONNECTING, /* no WELCOME yet */
    LINK_UP,
    /* Ended for good, because another attempt would fail too: after FAULT, if the version is too
     * old, or if another program connected as the same client. */
    LINK_CLOSED,
} LinkState;

/* Handlers may call all functions except link_free(). If a handler calls link_process(), that call
 * continues with the handler's own batch and then with later batches. So messages are passed on in
 * order, although the outer handlers have not returned yet. */
typedef struct LinkHandlers {
    /* A message for the layer above. The message and its fields are valid during the call only.
     * block is the block that contains the body, or NULL. */
    void (*on_message)(const Message *message, const void *block, void *ctx);
    /* The broker accepts the client. cluster: the name of its cluster; empty: it has no name.
     * Returns the reason why the client does not use this broker; NULL: on_up follows. The function
     * may be NULL. */
    const char *(*on_welcome)(const Message *welcome, Span cluster, void *ctx);
    /* A session has begun: register again with the broker (serve, subscribe, pull, push). */
    void (*on_up)(const Message *welcome, void *ctx);
    /* The session has ended, or an attempt to begin one has failed. The link tries again by
     * itself. */
    void (*on_down)(bool was_up, const ferry_error *error, void *ctx);
    /* The broker drains, so the link goes to another broker of the URL: on_up follows. The calls
     * that were sent stay in the old session, until on_left or their answers. The function calls
     * link_leave_below(). */
    void (*on_leave)(void *ctx);
    void (*on_left)(const ferry_error *error, void *ctx);
    /* Fills floor and held of a HELLO before it is written. held may point into buffer. */
    void (*on_hello)(Message *hello, Buffer *buffer, void *ctx);
    void *ctx;
} LinkHandlers;

/* Returns at once: the link connects in the background. url: tcp://host:port or ipc://path, with an
 * optional "zmq+" in front, or a list of these (endpoint-list.h). The link uses one broker of a
 * list at a time, and the next one when the connection is lost. -EINVAL: url is malformed; -EMFILE;
 * -EAGAIN: the system could not start a thread. */
int link_new(Link **ret, const char *url, const char *name, const LinkHandlers *handlers,
             ferry_error *reterr);
Link *link_free(Link *link); /* sends BYE; waits at most 200 ms for flushed messages to leave */

/* Encrypts all connections: own is the client's key, which the link takes over; server_key is the
 * broker's public key. Call it before the first link_process(), and only if a broker of the URL is
 * at tcp://. Connections over ipc:// have no keys. */
void link_set_keys(Link *link, KeyPair *own, const uint8_t server_key[KEY_SIZE]);

bool link_has_keys(const Link *link);

const uint8_t *link_client(const Link *link); /* the client that HELLO names: WIRE_TOKEN bytes */

/* The client that HELLO names from the next connection on, in place of a random one. */
void link_set_client(Link *link, const uint8_t client[WIRE_TOKEN]);

/* WELCOME cannot raise max_body above this: for links to peers that are not trusted. */
void link_limit_body(Link *link, uint64_t max_body);

LinkState link_state(const Link *link);
uint64_t link_max_body(const Link *link); /* the broker's limit, from WELCOME */
const char *link_url(const Link *link);   /* of the broker in use, or tried now */
/* The brokers of the URL. If they are looked up by a name, link_process() may replace the list. */
const EndpointList *link_brokers(const Link *link);
/* The brokers of the name are looked up each 30 s, and not only after a lost connection. */
void link_keep_list(Link *link);
/* The order in which brokers are tried, unless the URL ends in ?prefer=. Call it before the first
 * link_process(). */
void link_prefer(Link *link, EndpointPrefer prefer);
/* True: on_leave follows with this link_process(). */
bool link_leaves(const Link *link);
/* For use inside on_leave: calls with lower ids are in the session that is left. */
void link_leave_below(Link *link, uint64_t id);
/* The last failure, while the link is not up; NULL: no failure yet. */
const ferry_error *link_problem(const Link *link);

/* Puts a message into the outbox. -ENOTCONN: the link is not up. -EAGAIN: 4 MiB wait already, or
 * 8 MiB for the lanes of control and of calls. */
int link_put(Link *link, Lane lane, const Message *message, const void *block);
size_t link_waiting(const Link *link); /* bytes in the outbox */

/* True: so few bytes wait that link_put() accepts more. For use after -EAGAIN. */
bool link_has_room(const Link *link);

/* Sends all messages that credit and the socket allow. Never waits. */
void link_flush(Link *link);

/* Handles messages that have arrived, up to about max_messages, and the link's own timers. Returns
 * the number of messages passed on. link_flush() sends the messages that the handlers put. */
int link_process(Link *link, int max_messages, uint64_t now_ms);

/* The number of the batch in progress; numbers grow in order of arrival. */
uint64_t link_batch(const Link *link);
/* The time at which the batch in progress was read from the socket. */
uint64_t link_received_ms(const Link *link);

/* For use inside on_message: returns a block that keeps a large body, together with the received
 * bytes around it. The caller frees the block with ferry_free(). NULL: the body is only a small
 * part of the received bytes, so copy it instead. */
const void *link_hold_body(Link *link, Span body);

/* True: link_epoll_fd() does not report all waiting input, so call link_process() before
 * sleeping. */
bool link_has_input(const Link *link);

/* Most links of one wait: a client's own one, one straight to a server, and one for each broker. */
enum { LINK_WAIT_MAX = BROKERS_MAX + 2 };
/* Sleeps until input of one of n links (some may be NULL) arrives, until_ms (UINT64_MAX: for ever),
 * or fd (-1: no descriptor) is readable. */
void link_wait(Link *const *links, unsigned n, int fd, uint64_t until_ms);

/* The latest time for the next link_process(). */
uint64_t link_next_ms(const Link *link);

/* An epoll descriptor, valid for the link's life. It contains the descriptors of the current
 * connection; the layer above may add its own. */
int link_epoll_fd(const Link *link);
