/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Calls: routing to servers, deadlines, answers, streams.
 */

#include "broker/services/method-stats.h"
#include "broker/sessions/session.h"

typedef struct Services Services;

int services_new(Services **ret, Broker *broker);
Services *services_free(Services *services);

/* One function for each kind of message. block is the block around message->body, or NULL. */
void services_serve(Services *services, Session *session, const Message *message);
void services_unserve(Services *services, Session *session, const Message *message);
void services_watch(Services *services, Session *session, const Message *message);
/* Counts of direct calls. */
void services_tally(Services *services, Session *session, const Message *message);
void services_call(Services *services, Session *session, const Message *message, const void *block);
void services_answer(Services *services, Session *session, const Message *message,
                     const void *block); /* For OK and ERROR. */
void services_item(Services *services, Session *session, const Message *message, const void *block);
void services_end(Services *services, Session *session, const Message *message);
void services_more(Services *services, Session *session, const Message *message);
/* The server returns a call that it has not begun. */
void services_return(Services *services, Session *session, const Message *message);
void services_cancel(Services *services, Session *session, const Message *message);

/* An answer, or a message of a stream, has a wrong field: its call fails. */
void services_refuse(Services *services, Session *session, const Message *message,
                     const char *problem);
/* The body of an answer or of an item was refused on arrival: its call fails with this error. */
void services_refuse_body(Services *services, Session *session, const Message *message,
                          const char *type, const char *text);

/* The number of services that the session serves. */
unsigned services_of(const Session *session);

/* The number of calls that servers work on or that wait. */
size_t services_n_calls(const Services *services);
size_t services_count(const Services *services);

/* For ferry.Broker: write MessagePack, see ferry-broker.thrift. */
/* The description of the server `instance`, if it has one. Empty instance: the description with the
 * most methods and types. -ENOENT. */
int services_describe(Services *services, Span name, Span instance, Buffer *to);
int services_stats(Services *services, Span name, Buffer *to); /* -ENOENT */
void services_write_latencies(const Services *services, Buffer *to);

/* The methods of ferry.Broker, which is not in the table of services. */
Methods *services_own(Services *services);
