/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Sessions: the receivers of answers, deferred messages, and messages that wait for room in the
 * outbox. */

#include "clients/c/core/core.h"

extern const LinkHandlers session_handlers; /* the core sets ctx to itself */

int await_put(Core *core, Await *await);
void await_take(Core *core, Await *await);

/* Dispatches the deferred messages; call it in a turn. True: there were some. */
bool deferred_run(Core *core);

/* Fills reterr: there is no connection, and the reason if it is known. */
int session_missing(Core *core, ferry_error *reterr);
/* The type of an error because of it. */
const char *session_problem_type(const ferry_error *problem);
/* 0; or, if the broker has refused this client for good, fills reterr with the reason: -EACCES,
 * -EPROTO. */
int session_refused(const Core *core, ferry_error *reterr);
/* Waits for the connection, not beyond until_ms, and at most CONNECT_MS if the handle does not wait
 * for the broker; or until ferry_stop(). 0, -ENOTCONN. */
int session_await(const ferry_client *client, uint64_t until_ms, ferry_error *reterr);

/* Sends the message now, or as soon as the outbox has room. Settlements of jobs are kept for the
 * next session, too. */
int core_send(Core *core, Lane lane, const Message *message, const void *block);
void unsent_pump(Core *core);

/* A message of this subscription or pull was handled: the broker gets credit for it back, now and
 * then. *consumed: credit not given back yet. */
void credit_return(Core *core, uint64_t id, uint64_t *consumed, size_t body_len);
void session_deinit(Core *core);

/* When the message that is being handled was read from the socket. */
static inline uint64_t core_received_ms(const Core *core) {
    return core->received_ms ? core->received_ms : link_received_ms(core->link);
}

/* Defers a message to a later turn. False: there is no room for it, and it is dropped. */
bool deferred_put(Core *core, const Message *message, const void *block);

/* Removes the deferred messages with this id, except CALLs, and gives each to fn. A handler that
 * starts may wait for them, and later messages must not overtake them. */
void deferred_claim(Core *core, uint64_t id,
                    void (*fn)(Core *core, Request *request, const Message *message,
                               const void *block),
                    Request *request);

/* Keep the deferred or unsent messages for which stays() returns true, and free the others. */
void deferred_keep(Core *core, bool (*stays)(const Record *record, const void *ctx),
                   const void *ctx);
void unsent_keep(Core *core, bool (*stays)(const Record *record, const void *ctx), const void *ctx);

/* Reads the error from an ERROR message. Sets outcome_unknown if the error type says so. */
void error_of_message(const Message *message, ferry_error *reterr);
