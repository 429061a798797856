/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Sessions: the table of receivers of answers, the deferred messages, and the messages that wait
 * for room in the outbox. */

#include "clients/c/core/core.h"

extern const LinkHandlers session_handlers; /* the core sets ctx to itself */

int await_put(Core *core, Await *await);
void await_take(Core *core, Await *await);

/* Dispatches the deferred messages; call it in a turn. True: there were some. */
bool deferred_run(Core *core);

/* Fills reterr with the error that there is no connection, with the reason if it is known. */
int session_missing(Core *core, ferry_error *reterr);
/* Returns the error type for a call that fails because of this problem of the connection. */
const char *session_problem_type(const ferry_error *problem);
/* 0; or -EACCES or -EPROTO if the broker has refused this client permanently: reterr gets the
 * reason. */
int session_refused(const Core *core, ferry_error *reterr);
/* Waits for the connection until until_ms or ferry_stop(); if the handle does not wait for the
 * broker, at most CONNECT_MS. 0, -ENOTCONN. */
int session_await(const ferry_client *client, uint64_t until_ms, ferry_error *reterr);

/* Sends the message now, or as soon as the outbox has room. Settlements of jobs are kept for the
 * next session, too. */
int core_send(Core *core, Lane lane, const Message *message, const void *block);
void unsent_pump(Core *core);

/* Call this after a message of this subscription or pull was handled. Adds its size to *consumed;
 * when *consumed is a quarter of the credit, returns the credit to the broker. */
void credit_return(Core *core, uint64_t id, uint64_t *consumed, size_t body_len);

/* True: the request with this id was refused because its broker drains, and the client goes to
 * another broker, or has gone there already. */
bool session_refuses_as_it_drains(const Core *core, uint64_t id, const ferry_error *error);
void session_deinit(Core *core);

/* Returns the time at which the message in dispatch was read from the socket. */
static inline uint64_t core_received_ms(const Core *core) {
    return core->received_ms ? core->received_ms : link_received_ms(core->link);
}

/* Defers a message to a later turn. False: there is no room for it, and it is dropped. */
bool deferred_put(Core *core, const Message *message, const void *block);

/* Removes the deferred messages with this id, except CALLs, and passes each to fn. Call this before
 * the handler of the request starts: the handler may wait for these messages, and later messages
 * must not overtake them. */
void deferred_claim(Core *core, uint64_t id,
                    void (*fn)(Core *core, Request *request, const Message *message,
                               const void *block),
                    Request *request);

/* Reads the error from an ERROR message. Sets outcome_unknown if the error type says so. */
void error_of_message(const Message *message, ferry_error *reterr);
