/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Topics: publishing, subscribing, and collecting answers of all subscribers.
 *
 * Threads: every function here is called on the client's thread.
 */
#ifndef FERRY_TOPIC_H
#define FERRY_TOPIC_H

#include <ferry/client.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifdef __GNUC__
#pragma GCC visibility push(default)
#endif

/* The value of message.missed if the number is unknown. */
#define FERRY_MISSED_UNKNOWN UINT64_MAX

typedef struct ferry_message {
    const char *topic;
    uint64_t seq;    /* counts the subscription's messages from 1, including missed messages */
    uint64_t missed; /* messages lost since the previous one; FERRY_MISSED_UNKNOWN */
    ferry_bytes body;
    /* For an answer to ferry_gather(): the name of the client that answered, for people;
     * otherwise NULL. */
    const char *from;
    uint64_t from_session; /* the session of that client, as in `ferry sessions`; otherwise 0 */
} ferry_message;

typedef struct ferry_publish_options {
    bool retain; /* the broker keeps the message for later subscribers, in place of the previous
                  * retained one */
    /* Used without fn: ferry_flush() waits until every queue that is bound to the topic has
     * stored the message, and reports the first message that was refused. */
    bool confirm;
    size_t n_headers;
    const ferry_header *headers;
    /* Gets the confirmation in a later turn; NULL: ferry_flush() reports the first message with
     * retain or confirm that is refused. The confirmation comes when every bound queue has
     * stored the message: see ferry_queue_bind(). An error means that at least one of them has
     * not stored it. */
    ferry_done_fn fn;
    void *ctx; /* the last argument of fn */
    uint64_t reserved[2];
} ferry_publish_options;

/* The message that a subscription misses when its backlog is full. */
enum {
    FERRY_DROP_NEWEST, /* it misses the new message */
    FERRY_DROP_OLDEST, /* it misses the oldest message of the backlog */
    FERRY_DISCONNECT   /* the broker ends the session, and the client connects again */
};

typedef struct ferry_subscribe_options {
    /* Each message goes to one member of the group; the rules are those of topic names. NULL: no
     * group. */
    const char *group;
    /* Start with the last messages that the broker keeps, at most this many and at most 1 000. */
    uint32_t last;
    uint32_t overflow; /* FERRY_DROP_… */
    /* Most bytes that the broker holds for a slow subscriber; 0: the broker's limit, which is 4
     * MiB unless configured. */
    uint64_t backlog;
    uint64_t reserved[3];
} ferry_subscribe_options;

/* The message is lent. Use ferry_keep(message) to keep it. */
typedef void (*ferry_message_fn)(const ferry_message *message, void *ctx);

/**
 * Publishes a message to all subscribers of its topic. It never waits. ferry_flush() waits until
 * the broker has accepted all messages; options.fn gets the confirmation of this message alone.
 *
 * Before the connection is up, and for 5 s after it was lost, messages wait for the connection.
 *
 * @param topic    "orders.new": 1 to 255 bytes, tokens separated by dots.
 * @param body     Any bytes, at most max_body, 64 MiB. With options.retain an empty body deletes
 *                 the retained message.
 * @param options  NULL: all defaults.
 * @param reterr   Receives the error; may be NULL.
 *
 * @return 0, or
 *   -EAGAIN    4 MiB wait to be sent, because the connection is slower than the publisher, or
 *              65 536 publishes wait for their confirmation: call ferry_process(), and try again;
 *   -EINVAL    the topic or an option is invalid, or body has a length and no data;
 *   -EACCES    the topic is reserved for the broker ("ferry.…");
 *   -EMSGSIZE  body is larger than max_body;
 *   -ENOTCONN  no connection for 5 s;
 *   -ECANCELED client is closed;
 *   -ECHILD    client was opened before fork();
 *   -ENOMEM    out of memory.
 */
int ferry_publish(ferry_client *client, const char *topic, ferry_bytes body,
                  const ferry_publish_options *options, ferry_error *reterr);

/**
 * Subscribes to topics. Returns when the broker has accepted or refused the subscription. Messages
 * published later are received, or counted in message.missed. fn runs in turns. Retained and
 * replayed messages come first.
 *
 * After a lost connection the subscription continues. Missed messages are counted if the connection
 * was lost for at most 60 s. After that, or after a restart of the broker, missed is
 * FERRY_MISSED_UNKNOWN.
 *
 * @param pattern  A topic in which a token may be '*' (any single token), and the last token may be
 *                 '>' (one or more tokens).
 * @param options  NULL: all defaults. Copied.
 * @param fn       Called for each message.
 * @param ctx      The last argument of fn.
 * @param ret      Receives the registration: ferry_registration_close() ends it. NULL: it lasts
 *                 until ferry_close().
 * @param reterr   Receives the error; may be NULL.
 *
 * @return 0, or
 *   -EINVAL     the pattern or an option is invalid, or fn is NULL;
 *   -ENOBUFS    the session has too many subscriptions;
 *   -ENOTCONN   no connection within 5 s;
 *   -ETIMEDOUT  the broker did not answer in time;
 *   -ECANCELED  client is closed;
 *   -ECHILD     client was opened before fork();
 *   -ENOMEM     out of memory.
 */
int ferry_subscribe(ferry_client *client, const char *pattern,
                    const ferry_subscribe_options *options, ferry_message_fn fn, void *ctx,
                    ferry_registration **ret, ferry_error *reterr);

/**
 * Sends a question to all subscribers of a topic, and collects their answers for window_ms.
 *
 * fn is called once for each answer, inside this function, as qsort() calls its comparison. This is
 * the only exception to rule 5 of <ferry/ferry.h>. message.seq counts the answers; message.from is
 * the client that answered.
 *
 * @param question   Any bytes, at most max_body, 64 MiB.
 * @param window_ms  1 to 60 000.
 * @param fn         Called for each answer.
 *
 * @return 0 at the end of the window, for any number of answers; or
 *   -EINVAL      the topic or window_ms is invalid, or fn is NULL;
 *   -EMSGSIZE    question is larger than max_body;
 *   -ENOTCONN    no connection within 5 s;
 *   -ECONNRESET  the connection was lost meanwhile;
 *   -ECANCELED   client is closed;
 *   -ECHILD      client was opened before fork();
 *   -ENOMEM      out of memory.
 */
int ferry_gather(ferry_client *client, const char *topic, ferry_bytes question, uint32_t window_ms,
                 ferry_message_fn fn, void *ctx, ferry_error *reterr);

/* The value of a header, lent with the message; NULL: no header has this name. */
const char *ferry_message_header(const ferry_message *message, const char *name);

/* Iterates over the names of the headers. name: NULL for the first name, then the name that this
 * function returned last. Returns NULL after the last one. */
const char *ferry_message_header_after(const ferry_message *message, const char *name);

/**
 * Answers a question of ferry_gather(), inside the callback that received it.
 *
 * @param answer  Any bytes.
 *
 * @return 0; the broker drops answers that arrive after the window; or
 *   -EINVAL      the message is not a question, or is a copy;
 *   -ECONNRESET  the session in which the question arrived has ended;
 *   -EMSGSIZE    answer is larger than max_body;
 *   -EAGAIN      too many bytes wait to be sent;
 *   -ECANCELED   the client is closed;
 *   -ENOMEM      out of memory.
 */
int ferry_message_answer(const ferry_message *message, ferry_bytes answer);

#ifdef __GNUC__
#pragma GCC visibility pop
#endif

#ifdef __cplusplus
}
#endif

#endif
