/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Direct calls, without the broker between caller and server: a caller learns from the broker where
 * servers listen, and holds a connection to each of them. See core/route.h.
 */

#include "clients/c/core/core.h"

extern const Part direct_part;
