/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Three scripted brokers of a cluster, which note the messages of a client, and answer ferry.Moved
 * to a message about a queue that another one has.
 */

#include <ferry/ferry.h>

#include "support/scripted-broker.h"

enum { N = 3, UNKNOWN = -1, PATIENCE_MS = 60000, SEEN_MAX = 20000 };

/* A message that a broker got. */
typedef struct Seen {
    int at; /* the broker */
    uint8_t op;
    uint64_t id;
    char queue[32], body[16];
    bool has_origin;
    uint8_t origin[WIRE_TOKEN]; /* the option, else the client of the session */
    uint64_t flags, moved, wait;
    uint64_t job; /* of a settlement, or EXTEND */
    char text[16];
} Seen;

extern ScriptedBroker brokers[N];
extern Seen seen[SEEN_MAX];
extern int n_seen;
/* Answers a PUSH, CALL or EXTEND; NULL: by_owner(). */
extern void (*answer)(int at, int fd, const Message *message);
extern int owner;     /* the broker that has all queues; UNKNOWN */
extern int n_unknown; /* answers of known_after_some() */
extern bool is_mute;  /* ACK has no answer */

/* OK of the owner, or ferry.Moved. */
void by_owner(int at, int fd, const Message *message);
/* Broker 0 does not know the owner for the next n_unknown messages. */
void known_after_some(int at, int fd, const Message *message);

/* A client with the brokers whose numbers are in this order: "012". */
ferry_client *set_up(const char *order, const ferry_options *options);
void tear_down(ferry_client *client);

/* The URL with these brokers. Valid until the next call. */
const char *url_of(const char *order);
void set_owner(int at);

/* The number of messages with this op that a broker has got. */
int n_at(int at, unsigned op);
/* The last one of them; at -1: no message. */
Seen last_at(int at, unsigned op);
/* Runs the client until the broker has got n messages with this op. */
void await(ferry_client *client, int at, unsigned op, int n);
bool is_over(uint64_t until_ms);

int push(ferry_client *client, const char *queue, const char *body);
int flush(ferry_client *client);
/* Adds one to the first of the two results in ctx, or after an error to the second one. */
void done(const ferry_error *error, void *ctx);
/* The body is the number. results: for done(); NULL: not wanted. */
int push_async(ferry_client *client, const char *queue, int number, int *results);
void copy_text(char *to, size_t size, Span text);
