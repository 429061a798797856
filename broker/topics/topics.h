/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Publish/subscribe. Patterns live in a trie (tree.h); each subscription counts the messages that
 * it got and the messages that it missed.
 */

#include "broker/sessions/session.h"

typedef struct Topics Topics;

int topics_new(Topics **ret, Broker *broker);
Topics *topics_free(Topics *topics);

/* One function for each kind of message. It answers with session_ok() and session_error(); block is
 * the block around message->body, or NULL. */
void topics_subscribe(Topics *topics, Session *session, const Message *message);
void topics_unsubscribe(Topics *topics, Session *session, const Message *message);
/* MORE for a subscription. False: the id does not belong to a subscription. */
bool topics_more(Topics *topics, Session *session, const Message *message);
void topics_publish(Topics *topics, Session *session, const Message *message, const void *block);
/* Like topics_publish(), without the OK; errors are answered. False: the message was refused. */
bool topics_publish_unanswered(Topics *topics, Session *session, const Message *message,
                               const void *block);
void topics_answer(Topics *topics, Session *session, const Message *message, const void *block);

/* The session is gone. Its subscriptions stay with the client, detached, and count the messages
 * that they miss; its gathers end. */
void topics_session_gone(Topics *topics, Session *session);
/* The client will not come back: its subscriptions end. */
void topics_client_gone(Topics *topics, Client *client);

/* At the end of a turn: sends waiting messages as far as the credit goes, and GAP to subscriptions
 * that dropped messages and have room again. */
void topics_turn_end(Topics *topics);

/* Settings from the configuration file: [topic PATTERN] key = value. keep: number of messages of
 * each topic for SUBSCRIBE's `last`; keep_bytes: their bytes together. Later patterns override
 * earlier ones. -EINVAL: problem (static text) says why; -ENOMEM. */
int topics_configure(Topics *topics, const char *pattern, const char *key, const char *value,
                     const char **problem);

/* Reads the configuration again: see queues_reload(). */
void topics_reload(Topics *topics);
void topics_reloaded(Topics *topics, bool is_right);

/*
 * Retained values that several brokers share: each broker has all of them
 * (broker/admin/retained.h), and new subscribers get those of each shard, 1 to 64, at one broker.
 */

/* Makes the message the retained value of its topic, also if max_total_bytes is reached; an empty
 * body deletes the value. is_new: it came after this broker has begun. Subscriptions that got their
 * session at since_ms or later get the message; UINT64_MAX: none does. -ENOMEM: nothing has
 * changed.
 */
int topics_keep(Topics *topics, unsigned shard, const Message *message, bool is_new,
                uint64_t since_ms);
/* Forgets the values of a shard. */
void topics_forget(Topics *topics, unsigned shard);
/* Bit n: new subscribers get the values of shard n + 1 here. */
void topics_set_given(Topics *topics, uint64_t shards);
/* Sends the values of a shard to the subscriptions that got their session at since_ms or later. */
void topics_give(Topics *topics, unsigned shard, uint64_t since_ms);

size_t topics_count(const Topics *topics); /* number of topics and patterns, and of the nodes of
                                            * their trees */
/* True: it would take long to find the kept messages for this pattern. */
bool topics_is_costly(const Topics *topics, Span pattern);
