/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A peer with its own code for ZMTP 3.0, over a plain TCP socket. It can send messages that no
 * library sends, stop at any byte, and notice when the broker closes the connection.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rpc/wire/message.h"

enum { RAW_MORE = 1 };

/* The result of waiting for an answer. */
typedef enum Heard { HEARD, HEARD_NOTHING, HEARD_CUT } Heard;

/* Connects to a port of loopback. -1: failed. */
int raw_connect(uint16_t port);
/* Connects from another address of loopback, such as "127.0.0.2". */
int raw_connect_from(const char *source, uint16_t port);

/* Exchanges ZMTP's greetings and READY, as a DEALER with this routing id (len 0: no id). */
bool raw_greet(int fd, const void *routing_id, size_t len);
/* Greets from the other end, as a ROUTER: fd comes from accept(). */
bool raw_greet_back(int fd);

/* Connects, greets, sends HELLO and reads WELCOME, for a session that grants only `credit`
 * bytes. */
int raw_session(uint16_t port, uint64_t credit);
/* Begins a session on an open connection. False: it did not become a session. */
bool raw_begin(int fd, uint64_t credit);

bool raw_bytes(int fd, const void *data, size_t len);
bool raw_frame(int fd, const void *data, size_t len, int flags);

/* Sends one frame with one message. */
bool raw_say(int fd, const Message *message);

/* Reads the next message with this op and skips others. *ret points into static memory. */
Heard raw_hear(int fd, unsigned op, int timeout_ms, Message *ret);

/* Reads the next batch, and passes its messages on. */
Heard raw_hear_batch(int fd, int timeout_ms, void (*fn)(const Message *message, void *ctx),
                     void *ctx);

/* From now on the peer sends a ZMTP PING each second, like libzmq, because the broker closes a
 * silent connection. It ends with raw_close(). */
void raw_keep_alive(int fd);
void raw_close(int fd);

/* Reads until the other end closes. */
bool raw_is_cut(int fd, int timeout_ms);

/* The text of a key of an error, in static memory. */
const char *raw_error_text(Span error, const char *key);
