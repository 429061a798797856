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

/* One function for each kind of message. They answer by session_ok() and session_error(); block is
 * the block around message->body, or NULL. */
void topics_subscribe(Topics *topics, Session *session, const Message *message);
void topics_unsubscribe(Topics *topics, Session *session, const Message *message);
/* MORE for a subscription. False: the id is not one. */
bool topics_more(Topics *topics, Session *session, const Message *message);
void topics_publish(Topics *topics, Session *session, const Message *message, const void *block);
/* The same without the OK; an error is answered. False: the message was refused. */
bool topics_publish_unanswered(Topics *topics, Session *session, const Message *message,
                               const void *block);
void topics_answer(Topics *topics, Session *session, const Message *message, const void *block);

/* The session is gone: its subscriptions stay with the client, detached, and count the messages
 * that they miss; its gathers end. */
void topics_session_gone(Topics *topics, Session *session);
/* The client will not come back. */
void topics_client_gone(Topics *topics, Client *client);

/* At the end of a turn: GAP to subscriptions that dropped messages and have room again. */
void topics_turn_end(Topics *topics);

/* Settings, from the configuration file: [topic PATTERN] key = value. keep: messages of each topic
 * kept for SUBSCRIBE's `last`; keep_bytes: of how many bytes together. Later patterns win.
 * -EINVAL: problem (static text) says why; -ENOMEM. */
int topics_configure(Topics *topics, const char *pattern, const char *key, const char *value,
                     const char **problem);

/* The configuration is read again: as queues_reload(). */
void topics_reload(Topics *topics);
void topics_reloaded(Topics *topics, bool is_right);

size_t topics_count(const Topics *topics); /* topics and patterns, with the nodes of their trees */
/* Would it take long to find the kept messages for this pattern? */
bool topics_is_costly(const Topics *topics, Span pattern);
