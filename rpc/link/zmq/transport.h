/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A connection by libzmq: a DEALER and its monitor. */

#include "rpc/link/transport.h"

extern const TransportKind transport_zmq;
