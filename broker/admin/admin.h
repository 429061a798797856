/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* ferry.Broker: the service that the broker itself offers. ferry-broker.thrift describes it. */

#include "broker/sessions/session.h"

/* Makes ferry.Broker, with its lists that take several turns. Free it before the queues. */
int admin_new(Admin **ret, Broker *broker);
Admin *admin_free(Admin *admin);

/* Answers a call to a service whose name begins with "ferry.". */
void admin_call(Broker *broker, Session *session, const Message *message);

/* True: there are so many queues, topics, sessions or services that a list of them takes long. */
bool admin_is_costly(const Broker *broker, const Message *message);

/* The name of the i-th method; NULL: there are no more methods. */
const char *admin_method(size_t i);
/* True: the table of methods names the right that the i-th method needs. */
bool admin_has_need(size_t i);
