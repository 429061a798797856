/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A connection by ferry's own ZMTP engine: see rpc/link/connection.h. */

#include "rpc/link/transport.h"

extern const TransportKind transport_engine;
