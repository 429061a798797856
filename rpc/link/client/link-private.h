/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The parts that the files of this folder share. Each file calls only files before it in this list:
 * connect.c (opens connections, notices their loss), broker-list.c (looks up the brokers of a
 * name), hand-over.c (leaves a broker that drains), receive.c (handles received messages), link.c
 * (creates and frees a link, sends messages, waits).
 */

#include "rpc/address/endpoint-list.h"
#include "rpc/address/lookup.h"
#include "rpc/link/client/link.h"
#include "rpc/link/transport.h"

/* A batch whose messages are being passed to the layer above. */
typedef struct Reading {
    struct Reading *outer; /* the batch whose handler called link_process() */
    Reader reader;
    uint64_t number, session;
    Batch batch;
} Reading;

enum { LINK_URL_SIZE = 300 }; /* the longest one: zmq+tcp://, a name of 255 bytes, a port */

struct Link {
    char *name;
    EndpointList *brokers; /* in the order in which they are tried */
    unsigned at;      /* index of the broker in use, or tried now; brokers->n: it left the list */
    unsigned n_tried; /* brokers that were tried since the last pause */
    bool leaves;      /* the broker drains: the link goes to another one */
    struct Link *leaving;    /* the session with a broker that drains; NULL */
    uint64_t leaving_below;  /* calls with lower ids are in that session */
    uint32_t refused;        /* bit i: broker i has refused this client since the last session */
    char url[LINK_URL_SIZE]; /* this broker's URL, or the name of the list if no broker is known */
    const TransportKind *kind;
    KeyPair *own_key; /* owned; NULL: the link has no keys */
    CurveKeys keys;
    LinkHandlers handlers;
    LinkState state;
    Transport *transport; /* NULL between two attempts */
    int epoll_fd;
    Lookup *asking,
        *found; /* addresses of the host: the running lookup, and the last finished one */
    bool waits_for_address; /* the attempt waits for the lookup */
    Lookup *listing;        /* the running lookup of brokers; NULL */
    bool waits_for_list;    /* the attempt waits for the first list of brokers */
    bool keeps_list;        /* the list is looked up again from time to time */
    uint64_t listed_ms;     /* when the last lookup of brokers began */
    uint64_t list_next_ms;  /* when the next one begins; UINT64_MAX: no lookup is due */
    unsigned next_address;  /* index of the next address to try */
    Outbox out;
    Inbox in;
    uint8_t client[WIRE_TOKEN];
    bool hello_sent;
    bool found_nothing;       /* the last wait: the transport's descriptors reported no event */
    uint64_t body_limit;      /* most that WELCOME can set in.max_body to; 0: no limit */
    uint64_t attempt_ends_ms; /* if no WELCOME arrives by then, the attempt has failed */
    bool attempt_is_longer;   /* the program was away, so the attempt has got its time again */
    uint64_t next_attempt_ms; /* valid while transport is NULL */
    uint64_t backoff_ms;
    uint64_t up_ms;   /* when the last session began */
    uint64_t session; /* counts connections: a handler compares it to see if it has changed */
    uint64_t n_batches, batch; /* batches received; number of the one in progress */
    uint64_t received_ms;      /* when the batch in progress was read */
    Reading *reading;          /* the batch in progress; NULL: no batch */
    ferry_error problem;
};

/* ---- connect.c ---- */

/* Starts to connect, or to look up the host. */
void link_attempt(Link *link, uint64_t now_ms);
/* Ends an attempt whose time is over. A program that had no turns meanwhile gets the time once
 * more: the answers may be there, unread. */
void link_check_attempt(Link *link, uint64_t now_ms);
/* Ends a lookup that has finished or took too long. */
void link_end_lookup(Link *link, uint64_t now_ms);
typedef enum LinkEnd {
    RETRY,   /* another attempt follows after a pause */
    GIVE_UP, /* another attempt at this broker would fail too. The link is closed if no other broker
                of the URL is left. */
} LinkEnd;

/* Ends the session, or the attempt. */
void link_end(Link *link, LinkEnd end, const char *type, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* Puts the brokers of a list into the order in which this client tries them. */
void link_arrange(EndpointList *list);
/* Uses the broker with this index from the next attempt on. */
void link_choose(Link *link, unsigned at);
/* Chooses the next broker to try. After a session this is the first one in the order of preference,
 * except the one that was lost. */
void link_choose_next(Link *link, bool was_up);
/* Calls link_end() for an attempt that failed with the negative errno r. */
void link_cannot_connect(Link *link, int r);
void link_disconnect(Link *link, bool in_order);
/* The epoll set of the link contains the descriptor from now on. */
int link_watch(Link *link, int fd);
/* A connection was lost or failed: the list of brokers may be out of date. */
void link_doubt_list(Link *link, uint64_t now_ms);

/* ---- broker-list.c ---- */

/* Starts the lookup of the brokers when it is due, and takes its result. */
void link_process_list(Link *link, uint64_t now_ms);
void link_free_listing(Link *link);

/* ---- hand-over.c ---- */

/* Leaves the session with a broker that drains. Call it outside of all batches. */
void link_hand_over(Link *link);
/* True: the message belongs to a call in the session that is left. */
bool link_is_for_leaving(const Link *link, const Message *message);
/* Ends and frees the session that is left. */
void link_free_leaving(Link *link);

/* ---- receive.c ---- */

/* Returns the number of messages passed on, about max_messages at most. */
int link_receive(Link *link, int max_messages, uint64_t now_ms);
