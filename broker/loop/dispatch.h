/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Batches from peers: each message goes to the room that handles it. */

#include "broker/sessions/session.h"

/* Handles a batch that has come from a peer. */
void dispatch_batch(Broker *broker, Peer *peer, const uint8_t *data, size_t len);

/* Gives deferred batches their part of each turn, before new batches. */
void dispatch_deferred(Broker *broker);
