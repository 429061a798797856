#pragma once

/* ferry.Broker: the service that the broker itself offers (docs/PROTOCOL.md, section 12). */

#include "broker/broker.h"

/* A call to a service whose name begins with "ferry.": answers it. */
void manage_call(Broker *broker, Session *session, const Message *message);
