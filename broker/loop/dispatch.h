/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Batches from peers: each message goes to the room that handles it. */

#include "broker/sessions/session.h"

/* A batch has come from a peer. */
void dispatch_batch(Broker *broker, Peer *peer, const uint8_t *data, size_t len);

/* Once in each turn, before new batches: deferred batches get a share of the turn. */
void dispatch_deferred(Broker *broker);
