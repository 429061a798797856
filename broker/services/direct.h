/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Direct calls: the broker tells callers where the servers of a service listen. A caller watches a
 * service; for each of its servers with an endpoint it gets an offer: SERVER, with a ticket that
 * the server gets, too, in TICKET. With the ticket the server knows the caller and its user, who
 * has the right to call the service.
 */

#include "broker/services/services-private.h"

enum {
    OFFERS_OF_WATCHER_MAX = 32,  /* servers that one caller is told of, for one service */
    OFFERS_OF_SERVER_MAX = 4096, /* callers that are told of one server */
    REVIEW_WORK = 4096,          /* reviewed servers in each turn: about 50 us */
};

/* Takes the endpoint of a SERVE in place of the server's earlier one. If it cannot be announced,
 * the log has the reason, and the server gets its calls through the broker. -ENOMEM. */
int direct_announce(Server *server, const Message *serve);

/* The servers of the service, or their endpoints, have changed: the offers of its watchers are
 * reviewed at the end of this turn and of the next turns, some of them in each turn. */
void direct_review(Service *service);
void direct_turn_end(Services *services);

/* The server takes no new calls. */
void direct_withdraw(Server *server);

/* The session watches nothing any more. */
void direct_session_gone(Services *services, Session *session);
